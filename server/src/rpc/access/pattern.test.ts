import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { GrantedPrincipal } from "./granted-principal.ts";
import { EVERY_QUEUE, covers, isPattern, permissions } from "./pattern.ts";
import type { Grant } from "./pattern.ts";

// Few letters, so that names and patterns meet; a star and more than one dot, so that they are confused.
const name = fc.string({ unit: fc.constantFrom("a", "b", ".", "*"), minLength: 1, maxLength: 6 });
const pattern = name
  .chain((text) => fc.constantFrom(EVERY_QUEUE, text, `${text.replaceAll("*", "a")}.*`, text.replaceAll("*", "b")))
  .filter(isPattern);
const grants = fc.array(fc.record({ kind: fc.constantFrom(...permissions), pattern }), { maxLength: 8 });

describe("covers", () => {
  test("a star alone covers everything, a prefix what begins with it and its dot, a name itself", () => {
    const covered = (one: string, ...names: string[]): void => {
      const all = [
        "orders",
        "orders.",
        "orders.eu",
        "orders.eu.dlq",
        "orders.dlq",
        "ordersx",
        "order",
        "Orders.eu",
        "*",
      ];
      assert.deepEqual(
        all.filter((queue) => covers(one, queue)),
        names,
        one,
      );
    };
    covered("*", "orders", "orders.", "orders.eu", "orders.eu.dlq", "orders.dlq", "ordersx", "order", "Orders.eu", "*");
    covered("orders.*", "orders.", "orders.eu", "orders.eu.dlq", "orders.dlq");
    covered("orders.eu.*", "orders.eu.dlq");
    covered("orders", "orders");
    covered("orders.eu", "orders.eu");
    covered("nothing");
  });

  test("a pattern covers another exactly when it covers all of its names", () => {
    fc.assert(
      fc.property(pattern, pattern, fc.array(name, { minLength: 1 }), (wide, narrow, tails) => {
        const members = narrow.endsWith("*") ? tails.map((tail) => narrow.slice(0, -1) + tail) : [narrow];
        const all = [narrow, ...members].every((member) => covers(wide, member));
        if (covers(wide, narrow)) assert.ok(all, "a member is not covered");
        // The other way round: a name that is in nobody's alphabet stands for all that are not listed.
        const stranger = narrow.endsWith("*") ? `${narrow.slice(0, -1)}\u{1f41f}` : narrow;
        assert.equal(covers(wide, narrow), covers(wide, stranger));
      }),
      { numRuns: 2000 },
    );
  });

  test("it is an order: reflexive and transitive", () => {
    fc.assert(
      fc.property(pattern, pattern, pattern, (a, b, c) => {
        assert.ok(covers(a, a));
        if (covers(a, b) && covers(b, c)) assert.ok(covers(a, c));
        if (covers(a, b) && covers(b, a)) assert.equal(a, b);
      }),
      { numRuns: 2000 },
    );
  });
});

test("a star stands alone or behind the last dot", () => {
  for (const good of ["*", "a.*", "a.b.*", "a", "a.b", "a.dlq", "ünï.*", `${"x".repeat(255)}.*`])
    assert.ok(isPattern(good), good);
  for (const bad of ["", ".*", "**", "a*", "*a", "a.**", "a.*.b", "*.a", "a\n", "\ud800", "x".repeat(256)]) {
    assert.ok(!isPattern(bad), bad);
  }
});

describe("a principal with grants", () => {
  test("is allowed what one of its grants of that permission covers, and nothing else", () => {
    fc.assert(
      fc.property(grants, fc.constantFrom(...permissions), fc.oneof(name, pattern), (list, permission, target) => {
        const principal = new GrantedPrincipal("p", list);
        const own = list.filter(({ kind }) => kind === permission);
        assert.equal(
          principal.allows(permission, target),
          own.some((grant) => covers(grant.pattern, target)),
        );
        assert.equal(principal.holds(permission), own.length > 0);
        assert.equal(principal.unrestricted, false);
        principal.replaceGrants([]);
        assert.equal(principal.allows(permission, target), false);
        assert.equal(principal.holds(permission), false);
      }),
      { numRuns: 2000 },
    );
  });

  test("a superadmin may do everything, until it is revoked", () => {
    const principal = new GrantedPrincipal("p", "superadmin");
    assert.ok(principal.unrestricted && principal.holds("admin") && principal.allows("produce", EVERY_QUEUE));
    principal.revoke();
    assert.ok(!principal.unrestricted && !principal.holds("admin") && !principal.allows("produce", "q"));
    assert.ok(principal.revoked);
  });

  test("a revoked one may do nothing, whatever it is granted afterwards", () => {
    const everything: Grant[] = permissions.map((kind) => ({ kind, pattern: EVERY_QUEUE }));
    const principal = new GrantedPrincipal("p", everything);
    principal.revoke();
    principal.replaceGrants(everything);
    for (const kind of permissions) assert.ok(!principal.allows(kind, "q") && !principal.holds(kind));
  });

  test("tells of every change, to those who still watch, also while they stop", () => {
    const principal = new GrantedPrincipal("p", []);
    const told: string[] = [];
    const stopFirst = principal.watch(() => {
      told.push("first");
      stopFirst();
    });
    const second = (): void => void told.push("second");
    const stopSecond = principal.watch(second);
    const stopAgain = principal.watch(second);
    principal.replaceGrants([]);
    assert.deepEqual(told, ["first", "second", "second"]);
    stopSecond();
    principal.revoke();
    assert.deepEqual(told, ["first", "second", "second", "second"]);
    stopAgain();
    principal.revoke();
    assert.equal(told.length, 4);
  });

  test("has an id, and patterns that are patterns", () => {
    assert.throws(() => new GrantedPrincipal("", []), /id/);
    assert.throws(() => new GrantedPrincipal("p", [{ kind: "admin", pattern: "a*" }]), /a\*/);
  });

  test("a name of millions of dots costs no more look-ups than the longest prefix has characters", (t) => {
    const principal = new GrantedPrincipal("p", [{ kind: "produce", pattern: "orders.eu.*" }]);
    const dots = ".".repeat(4 * 1024 * 1024);
    const slice = t.mock.method(String.prototype, "slice");
    assert.equal(principal.allows("produce", dots), false);
    assert.equal(slice.mock.callCount(), "orders.eu.".length);
  });
});
