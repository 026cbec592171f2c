/** What the package gives. The types of all this, with its promises, are in ../index.d.ts. */

export { Sayso } from "./sayso.js";
export {
  AlreadySettled,
  Forbidden,
  Invalid,
  NotFound,
  RequestMismatch,
  SaysoError,
  Unauthorised,
  Unavailable,
} from "./errors.js";
