/** A form made from a JSON Schema: which fields, what they hold at first, what they say. Pure; the server checks the rest. */

/**
 * @typedef {import("./types.d.ts").Json} Json
 * @typedef {import("./types.d.ts").Fields} Fields
 * @typedef {import("./types.d.ts").Fault} Fault
 * @typedef {{ [name: string]: any }} Schema
 * @typedef {"text" | "longtext" | "number" | "integer" | "boolean" | "date" | "date-time" | "time" | "email" | "uri" | "enum" | "many" | "list" | "group" | "json"} Type
 * @typedef {{
 *   pointer: string, name: string, type: Type, title: string, description: string, isRequired: boolean, isNullable: boolean,
 *   choices: readonly Choice[], fields: readonly Field[], items: Type | null, hint: string, initial: Json | undefined,
 * }} Field `pointer`: where its value stands (RFC 6901)
 * @typedef {{ key: string, label: string, value: Json }} Choice
 */

const DEPTH = 8;
/** Groups within groups; what is deeper is written as JSON. */
const LONG = 200;
/** Characters from which on a text has more than one line. */

/** The one field of a schema: a group for an object. @param {Schema} schema @returns {Field} */
export function formOf(schema) {
  return field("", "", schema, schema, true, 0);
}

/**
 * @param {string} pointer
 * @param {string} name
 * @param {Schema} given
 * @param {Schema} root
 * @param {boolean} isRequired
 * @param {number} depth
 * @returns {Field}
 */
function field(pointer, name, given, root, isRequired, depth) {
  const { schema, isNullable } = plain(given, root);
  const type = depth > DEPTH ? "json" : typeOf(schema, root);
  const items = schema["items"] ? plain(schema["items"], root).schema : {};
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  return {
    pointer,
    name,
    type,
    isRequired,
    isNullable,
    title: text(schema["title"]) || spoken(name),
    description: text(schema["description"]),
    choices: type === "many" ? choices(items) : choices(schema),
    items: type === "list" ? typeOf(items, root) : null,
    hint: hintOf(schema),
    initial: schema["default"],
    fields:
      type === "group"
        ? Object.entries(schema["properties"]).map(([key, one]) => field(`${pointer}/${escaped(key)}`, key, one, root, required.includes(key), depth + 1))
        : [],
  };
}

/**
 * A schema without the references and the choice of null around it, as frameworks write optional members.
 *
 * @param {any} given
 * @param {Schema} root
 * @param {number} [steps]
 * @returns {{ schema: Schema, isNullable: boolean }}
 */
function plain(given, root, steps = 0) {
  const schema = given && typeof given === "object" ? given : {};
  if (steps > DEPTH) return { schema: {}, isNullable: false };
  if (typeof schema.$ref === "string") {
    const { $ref, ...beside } = schema;
    const found = plain(at(root, $ref), root, steps + 1);
    return { ...found, schema: { ...found.schema, ...beside } };
  }
  const branches = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (Array.isArray(branches)) {
    const { anyOf, oneOf, allOf, ...beside } = schema;
    const others = branches.filter((one) => one?.type !== "null");
    if (others.length === 1) {
      const found = plain(others[0], root, steps + 1);
      return { schema: { ...found.schema, ...beside }, isNullable: found.isNullable || others.length < branches.length };
    }
    if (others.length && others.every((one) => "const" in Object(one))) {
      return { schema: { ...beside, enum: others.map((one) => one.const), enumNames: others.map((one) => one.title) }, isNullable: others.length < branches.length };
    }
    return { schema, isNullable: false };
  }
  if (Array.isArray(schema.type) && schema.type.includes("null")) {
    const types = schema.type.filter((/** @type {string} */ one) => one !== "null");
    return { schema: { ...schema, type: types.length === 1 ? types[0] : types, ...(schema.enum && { enum: schema.enum.filter((/** @type {Json} */ one) => one !== null) }) }, isNullable: true };
  }
  return { schema, isNullable: false };
}

/** What a reference within the document means. @param {Schema} root @param {string} reference */
function at(root, reference) {
  if (!reference.startsWith("#")) return {};
  /** @type {any} */
  let place = root;
  for (const step of reference.slice(1).split("/").slice(1)) {
    place = Object(place)[decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return place;
}

/** @param {Schema} schema @param {Schema} root @returns {Type} */
function typeOf(schema, root) {
  if (Array.isArray(schema["enum"]) && schema["enum"].length) return "enum";
  if ("const" in schema) return "enum";
  const properties = schema["properties"];
  switch (schema["type"]) {
    case "string":
      return stringType(schema);
    case "number":
    case "integer":
    case "boolean":
      return schema["type"];
    case "array":
      return arrayType(schema, root);
    case "object":
      return properties && Object.keys(properties).length && !Object.keys(Object(schema["patternProperties"])).length ? "group" : "json";
    case undefined:
      return properties && Object.keys(properties).length ? "group" : "json";
    default:
      return "json";
  }
}

/** @param {Schema} schema @returns {Type} */
function stringType({ format, maxLength }) {
  if (["date", "date-time", "time", "email", "uri"].includes(format)) return format;
  return format === "textarea" || maxLength > LONG ? "longtext" : "text";
}

/** @param {Schema} schema @param {Schema} root @returns {Type} */
function arrayType({ items, prefixItems }, root) {
  if (!items || prefixItems) return "json";
  const type = typeOf(plain(items, root).schema, root);
  if (type === "enum") return "many";
  return ["text", "number", "integer", "email", "uri"].includes(type) ? "list" : "json";
}

/** @param {Schema} schema @returns {Choice[]} */
function choices(schema) {
  const values = schema["enum"] ?? ("const" in schema ? [schema["const"]] : []);
  const names = schema["enumNames"] ?? [];
  return values.map((/** @type {Json} */ value, /** @type {number} */ number) => ({
    key: String(number),
    value,
    label: text(names[number]) || (typeof value === "string" ? value : JSON.stringify(value)),
  }));
}

/** The bounds, in words. @param {Schema} schema */
function hintOf(schema) {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength, maxLength, minItems, maxItems } = schema;
  const bounds = [
    minimum !== undefined && `at least ${minimum}`,
    exclusiveMinimum !== undefined && `more than ${exclusiveMinimum}`,
    maximum !== undefined && `at most ${maximum}`,
    exclusiveMaximum !== undefined && `less than ${exclusiveMaximum}`,
    minLength > 1 && `at least ${minLength} characters`,
    maxLength !== undefined && `at most ${maxLength} characters`,
    minItems > 0 && `at least ${minItems}`,
    maxItems !== undefined && `at most ${maxItems}`,
  ];
  return bounds.filter(Boolean).join(", ");
}

/**
 * What the fields hold at first: the schema's defaults, or `value`.
 *
 * @param {Field} one
 * @param {Json} [value]
 * @returns {Fields}
 */
export function begun(one, value) {
  const given = value === undefined ? one.initial : value;
  if (one.type === "group") {
    const members = Object(given);
    return Object.assign({}, ...one.fields.map((inner) => begun(inner, Object.hasOwn(members, inner.name) ? members[inner.name] : undefined)));
  }
  return { [one.pointer]: shown(one, given) };
}

/** @param {Field} one @param {any} value @returns {string | boolean | string[]} */
function shown(one, value) {
  const { type, choices: offered, isRequired } = one;
  const key = (/** @type {Json} */ wanted) => offered.find((choice) => JSON.stringify(choice.value) === JSON.stringify(wanted))?.key;
  if (type === "enum") return key(value) ?? (isRequired && offered.length === 1 ? "0" : "");
  if (type === "many") return Array.isArray(value) ? value.map(key).filter((found) => found !== undefined) : [];
  if (type === "boolean") return isRequired && !one.isNullable ? value === true : value === undefined || value === null ? "" : String(value);
  if (value === undefined || value === null) return "";
  if (type === "list") return Array.isArray(value) ? value.map(String).join("\n") : "";
  if (type === "json") return JSON.stringify(value, null, 2);
  if (type === "date-time") return localOf(String(value));
  return String(value);
}

/**
 * What the fields say, as the value that the schema asks for, and what cannot be said so.
 *
 * @param {Field} one
 * @param {Fields} fields
 * @returns {{ value: Json | undefined, faults: Fault[] }}
 */
export function said(one, fields) {
  if (one.type === "group") {
    /** @type {{ [name: string]: Json }} */
    const value = Object.create(null);
    /** @type {Fault[]} */
    const faults = [];
    for (const inner of one.fields) {
      const found = said(inner, fields);
      faults.push(...found.faults);
      if (found.value !== undefined) value[inner.name] = found.value;
    }
    const isBlank = !one.isRequired && one.fields.every((inner) => isUntouched(inner, fields));
    return isBlank && one.pointer ? { value: undefined, faults: [] } : { value, faults };
  }
  const held = fields[one.pointer];
  const fault = (/** @type {string} */ detail) => ({ value: undefined, faults: [{ pointer: one.pointer, detail }] });
  if (held === undefined || held === "" || (Array.isArray(held) && !held.length && !one.isRequired)) {
    if (!one.isRequired) return { value: undefined, faults: [] };
    if (one.isNullable) return { value: null, faults: [] };
    if (one.type === "list") return { value: [], faults: [] };
    return fault("is needed");
  }
  return read(one, held, fault);
}

/**
 * @param {Field} one
 * @param {string | boolean | readonly string[]} held
 * @param {(detail: string) => { value: undefined, faults: Fault[] }} fault
 * @returns {{ value: Json | undefined, faults: Fault[] }}
 */
function read(one, held, fault) {
  const good = (/** @type {Json | undefined} */ value) => ({ value, faults: [] });
  const chosen = (/** @type {string} */ key) => one.choices.find((choice) => choice.key === key)?.value ?? null;
  switch (one.type) {
    case "boolean":
      return good(held === true || held === "true");
    case "enum":
      return good(chosen(String(held)));
    case "many":
      return good(one.choices.filter((choice) => Array.isArray(held) && held.includes(choice.key)).map((choice) => choice.value));
    case "number":
    case "integer":
      return isNumber(String(held), one.type) ? good(Number(held)) : fault(one.type === "integer" ? "must be a whole number" : "must be a number");
    case "list": {
      const lines = String(held).split("\n").map((line) => line.trim()).filter(Boolean);
      if (one.items !== "number" && one.items !== "integer") return good(lines);
      return lines.every((line) => isNumber(line, one.items ?? "")) ? good(lines.map(Number)) : fault("must be a number on each line");
    }
    case "date-time": {
      const moment = new Date(String(held));
      return Number.isNaN(moment.getTime()) ? fault("must be a date and a time") : good(moment.toISOString());
    }
    case "time":
      return good(/^\d\d:\d\d$/.test(String(held)) ? `${held}:00Z` : String(held));
    case "json":
      try {
        return good(JSON.parse(String(held)));
      } catch {
        return fault("must be JSON");
      }
    default:
      return good(String(held));
  }
}

/** Every field that is written into, in order. @param {Field} one @returns {Field[]} */
export const leaves = (one) => (one.type === "group" ? one.fields.flatMap(leaves) : [one]);

/**
 * The faults of one field: those at its pointer, and at anything within it that has no field of its own.
 *
 * @param {Field} one
 * @param {readonly Fault[]} faults
 */
export function faultsOf(one, faults) {
  return faults.filter(({ pointer }) => pointer === one.pointer || (one.type !== "group" && pointer.startsWith(`${one.pointer}/`)));
}

/** What no field shows. @param {Field} form @param {readonly Fault[]} faults */
export function otherFaults(form, faults) {
  const all = everyField(form).filter((one) => one.pointer);
  return faults.filter((fault) => !all.some((one) => faultsOf(one, [fault]).length));
}

/** @param {Field} one @returns {Field[]} */
const everyField = (one) => [one, ...one.fields.flatMap(everyField)];

/** A server's faults at `/values/a` as the form's at `/a`. @param {readonly Fault[]} faults @param {string} prefix */
export const within = (faults, prefix) => faults.map(({ pointer, detail }) => ({ detail, pointer: pointer.startsWith(prefix) ? pointer.slice(prefix.length) : pointer }));

/** @param {Field} one @param {Fields} fields @returns {boolean} */
function isUntouched(one, fields) {
  if (one.type === "group") return one.fields.every((inner) => isUntouched(inner, fields));
  const held = fields[one.pointer];
  return held === undefined || held === "" || held === false || (Array.isArray(held) && !held.length);
}

/** @param {string} text @param {string} type */
const isNumber = (text, type) => (type === "integer" ? /^\s*[+-]?\d+\s*$/ : /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i).test(text);

/** A moment as `<input type=datetime-local>` has it, in this person's time. @param {string} moment */
function localOf(moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {string} key */
const escaped = (key) => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** `deliveryAddress` and `delivery_address` as words. @param {string} name */
function spoken(name) {
  const words = name.replace(/([a-z\d])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1).toLowerCase();
}

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : "");
