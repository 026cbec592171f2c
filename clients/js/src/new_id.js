/** An id that nobody else makes. */

/** 32 characters or more; `crypto.randomUUID` is missing on pages without TLS, all of `crypto` in Node 18. */
export function newId() {
  const { crypto } = globalThis;
  if (crypto?.randomUUID) return crypto.randomUUID();
  const bytes = new Uint8Array(16);
  if (crypto) crypto.getRandomValues(bytes);
  else bytes.forEach((_, at) => (bytes[at] = Math.random() * 256)); // an id must be new, not secret
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
