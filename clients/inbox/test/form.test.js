import assert from "node:assert/strict";
import test from "node:test";
import { begun, faultsOf, formOf, leaves, otherFaults, said, within } from "../src/form.js";

const by = (form, pointer) => leaves(form).find((one) => one.pointer === pointer);
const object = (properties, required = []) => ({ type: "object", properties, required });

test("each type of a schema has its field", () => {
  const form = formOf(
    object({
      text: { type: "string" },
      long: { type: "string", maxLength: 5000 },
      number: { type: "number" },
      whole: { type: "integer" },
      yes: { type: "boolean" },
      day: { type: "string", format: "date" },
      moment: { type: "string", format: "date-time" },
      mail: { type: "string", format: "email" },
      size: { enum: ["s", "m", null] },
      only: { const: 3 },
      many: { type: "array", items: { enum: ["a", "b"] } },
      list: { type: "array", items: { type: "string" } },
      numbers: { type: "array", items: { type: "integer" } },
      deep: { type: "array", items: { type: "object" } },
      free: {},
      either: { anyOf: [{ type: "string" }, { type: "number" }] },
    }),
  );
  assert.deepEqual(
    form.fields.map(({ type }) => type),
    ["text", "longtext", "number", "integer", "boolean", "date", "date-time", "email", "enum", "enum", "many", "list", "list", "json", "json", "json"],
  );
});

test("a schema as pydantic writes it: references, optional members, nested models, enums", () => {
  const schema = {
    type: "object",
    properties: {
      home: { $ref: "#/$defs/Address" },
      size: { allOf: [{ $ref: "#/$defs/Size" }], default: "m" },
      note: { anyOf: [{ type: "string" }, { type: "null" }], default: null, title: "Note" },
      days: { type: "array", items: { $ref: "#/$defs/Size" } },
    },
    required: ["home"],
    $defs: { Address: { type: "object", title: "Address", properties: { city: { type: "string" } }, required: ["city"] }, Size: { enum: ["s", "m"], type: "string" } },
  };
  const form = formOf(schema);
  assert.deepEqual(form.fields.map(({ type, title }) => [type, title]), [["group", "Address"], ["enum", "Size"], ["text", "Note"], ["many", "Days"]]);
  assert.equal(by(form, "/home/city").isRequired, true);
  const fields = begun(form);
  assert.deepEqual(said(form, { ...fields, "/home/city": "Esbjerg", "/days": ["1"] }), { value: { __proto__: null, home: { __proto__: null, city: "Esbjerg" }, size: "m", days: ["m"] }, faults: [] });
});

test("values have the types that the schema asks for, and what is left blank is left out", () => {
  const form = formOf(object({ text: { type: "string" }, number: { type: "number" }, whole: { type: "integer" }, yes: { type: "boolean" }, list: { type: "array", items: { type: "number" } }, any: {} }));
  const fields = { "/text": "1", "/number": "1e3", "/whole": " -7 ", "/yes": "false", "/list": "1\n\n2.5\n", "/any": '{"a": [null]}' };
  assert.deepEqual(said(form, fields).value, { __proto__: null, text: "1", number: 1000, whole: -7, yes: false, list: [1, 2.5], any: { a: [null] } });
  assert.deepEqual(said(form, begun(form)), { value: { __proto__: null }, faults: [] });
});

test("a required checkbox says no when it is not checked; an optional one may say nothing", () => {
  const form = formOf(object({ must: { type: "boolean" }, may: { type: "boolean" } }, ["must"]));
  assert.deepEqual(said(form, begun(form)).value, { __proto__: null, must: false });
});

test("what cannot be said is a fault at its field", () => {
  const form = formOf(object({ text: { type: "string" }, number: { type: "number" }, whole: { type: "integer" }, any: {}, group: object({ x: { type: "string" } }, ["x"]), many: { type: "array", items: { enum: ["a"] } } }, ["text", "group", "many"]));
  const fields = { ...begun(form), "/number": "many", "/whole": "1.5", "/any": "{" };
  assert.deepEqual(said(form, fields).faults.map(({ pointer }) => pointer), ["/text", "/number", "/whole", "/any", "/group/x"]);
  assert.deepEqual(said(form, fields).value.many, []);
});

test("an optional group that nobody touched is left out, and none of its fields is missed", () => {
  const form = formOf(object({ group: object({ x: { type: "string" } }, ["x"]) }));
  assert.deepEqual(said(form, begun(form)), { value: { __proto__: null }, faults: [] });
});

test("a form begins with the schema's defaults or with a value", () => {
  const form = formOf(object({ a: { type: "string", default: "x" }, b: { enum: [1, 2], default: 2 }, c: { type: "array", items: { enum: ["p", "q"] }, default: ["q"] }, d: { default: { k: 1 } } }));
  assert.deepEqual(begun(form), { "/a": "x", "/b": "1", "/c": ["1"], "/d": '{\n  "k": 1\n}' });
  assert.deepEqual(begun(form, { a: "y", b: 1, c: [], d: 0 }), { "/a": "y", "/b": "0", "/c": [], "/d": "0" });
});

test("a schema that is no object is one field, whose value stands alone", () => {
  for (const [schema, held, value] of [[{ type: "string" }, "x", "x"], [{ enum: ["a", "b"] }, "1", "b"], [{ type: "array", items: { enum: [1, 2] } }, ["0"], [1]], [true, "null", null]]) {
    const form = formOf(schema);
    assert.deepEqual(said(form, { "": held }), { value, faults: [] });
  }
});

test("a schema that refers to itself ends", () => {
  const form = formOf({ $ref: "#/$defs/N", $defs: { N: object({ next: { $ref: "#/$defs/N" }, name: { type: "string" } }) } });
  assert.ok(leaves(form).length < 100);
  assert.equal(formOf({ $ref: "#/$defs/L", $defs: { L: { $ref: "#/$defs/L" } } }).type, "json");
});

test("names with slashes, tildes and prototypes are only names", () => {
  const form = formOf(object({ "a/b~c": { type: "string" }, __proto__: {}, ["__proto__"]: { type: "string" }, constructor: { type: "string" } }));
  const { value } = said(form, { "/a~1b~0c": "1", "/__proto__": "2", "/constructor": "3" });
  assert.deepEqual(Object.entries(value), [["a/b~c", "1"], ["__proto__", "2"], ["constructor", "3"]]);
});

test("the server's faults go to their fields, and what no field shows is told beside them", () => {
  const form = formOf(object({ a: { type: "string" }, list: { type: "array", items: { type: "string" } }, g: object({ x: { type: "string" } }) }));
  const faults = within([{ pointer: "/values/a", detail: "1" }, { pointer: "/values/list/3", detail: "2" }, { pointer: "/values/g", detail: "3" }, { pointer: "/values", detail: "4" }, { pointer: "/values/gone", detail: "5" }], "/values");
  assert.deepEqual(faultsOf(by(form, "/a"), faults).map(({ detail }) => detail), ["1"]);
  assert.deepEqual(faultsOf(by(form, "/list"), faults).map(({ detail }) => detail), ["2"]);
  assert.deepEqual(otherFaults(form, faults).map(({ detail }) => detail), ["4", "5"]);
});
