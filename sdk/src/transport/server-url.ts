// The address of a broker as people write it.
import { FilaError } from "../errors.ts";

const defaultPort = "5555";

/**
 * "http://host:port", "https://host:port", or "host:port", which is http. A host alone gets port 5555; behind a scheme
 * the port is that of the scheme unless given. Throws FilaError invalid_argument INVALID_URL.
 */
export function serverUrl(text: string): URL {
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== "http" && scheme !== "https") {
    throw invalid(text, `begins with ${scheme}://, which no Fila server speaks`);
  }
  const url = URL.parse(scheme === undefined ? `http://${text}` : text);
  if (url === null) throw invalid(text, "is no address");
  // Not told what it is: it may hold a password.
  if (url.username !== "" || url.password !== "") throw invalid(text.replace(/[^/@]*@/, "...@"), "has a user");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw invalid(text, "has something behind the port; a Fila server is at the root of its port");
  }
  if (scheme === undefined && !/:\d+\/?$/.test(text)) url.port = defaultPort;
  return url;
}

function invalid(text: string, why: string): FilaError {
  const message = `${JSON.stringify(text)} ${why}; write host and port, like "http://127.0.0.1:${defaultPort}"`;
  return new FilaError("invalid_argument", "INVALID_URL", message);
}
