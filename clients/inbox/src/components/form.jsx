/** A form made from a JSON Schema, with what is wrong beside each field. */

import { faultsOf, otherFaults } from "../form.js";
import { Text } from "./text.jsx";

/**
 * @typedef {import("../form.js").Field} Field
 * @typedef {import("../types.d.ts").Fields} Fields
 * @typedef {import("../types.d.ts").Fault} Fault
 * @typedef {{ fields: Fields, faults: readonly Fault[], write: (fields: Fields) => void }} Form
 */

/** @param {{ form: Field } & Form} props */
export function SchemaForm({ form, ...rest }) {
  const others = otherFaults(form.type === "group" ? form : { ...form, pointer: "" }, rest.faults);
  return (
    <div class="form" data-focus="form">
      {form.type === "group" ? form.fields.map((one) => <One key={one.pointer} field={one} {...rest} />) : <One field={{ ...form, title: form.title || "Value" }} {...rest} />}
      <Faults id="form-faults" faults={form.type === "group" ? others : []} />
    </div>
  );
}

/** @param {{ field: Field } & Form} props @returns {any} */
function One({ field, ...rest }) {
  if (field.type === "group") {
    return (
      <fieldset class="group">
        <legend>
          <Text>{field.title}</Text>
          {!field.isRequired && <span class="optional">optional</span>}
        </legend>
        {field.description && <p class="quiet"><Text>{field.description}</Text></p>}
        {field.fields.map((one) => (
          <One key={one.pointer} field={one} {...rest} />
        ))}
        <Faults id={`${idOf(field)}-faults`} faults={faultsOf(field, rest.faults)} />
      </fieldset>
    );
  }
  return field.type === "many" ? <Many field={field} {...rest} /> : <Leaf field={field} {...rest} />;
}

/** @param {{ field: Field } & Form} props */
function Leaf({ field, fields, faults, write }) {
  const id = idOf(field);
  const wrong = faultsOf(field, faults);
  const help = [field.description, field.hint].filter(Boolean);
  const isBox = field.type === "boolean" && field.isRequired && !field.isNullable;
  const common = {
    id,
    "data-pointer": field.pointer,
    "aria-invalid": /** @type {boolean | undefined} */ (wrong.length ? true : undefined),
    "aria-required": field.isRequired || undefined,
    "aria-describedby": [help.length && `${id}-help`, wrong.length && `${id}-faults`].filter(Boolean).join(" ") || undefined,
  };
  const set = (/** @type {string | boolean} */ value) => write({ ...fields, [field.pointer]: value });
  const held = fields[field.pointer];
  return (
    <div class={`field ${isBox ? "box" : ""}`}>
      <label for={id}>
        <Text>{field.title}</Text>
        {!field.isRequired && <span class="optional">optional</span>}
      </label>
      <Control field={field} held={held} set={set} common={common} isBox={isBox} />
      {help.length > 0 && (
        <p class="help" id={`${id}-help`}>
          <Text>{help.join(" · ")}</Text>
        </p>
      )}
      <Faults id={`${id}-faults`} faults={wrong} />
    </div>
  );
}

const INPUTS = /** @type {Record<string, string>} */ ({ date: "date", "date-time": "datetime-local", time: "time", email: "email", uri: "url" });

/** @param {{ field: Field, held: any, set: (value: string | boolean) => void, common: any, isBox: boolean }} props */
function Control({ field, held, set, common, isBox }) {
  const onInput = (/** @type {any} */ event) => set(event.currentTarget.value);
  if (isBox) return <input type="checkbox" {...common} checked={held === true} onChange={(event) => set(event.currentTarget.checked)} />;
  if (field.type === "boolean" || field.type === "enum") {
    const choices = field.type === "enum" ? field.choices : [{ key: "true", label: "Yes" }, { key: "false", label: "No" }];
    return (
      <select {...common} value={String(held ?? "")} onChange={onInput}>
        <option value="">{field.isRequired ? "Choose…" : "–"}</option>
        {choices.map(({ key, label }) => (
          <option key={key} value={key}>
            {label}
          </option>
        ))}
      </select>
    );
  }
  if (["longtext", "list", "json"].includes(field.type)) {
    const rows = field.type === "list" ? 3 : 4;
    const hint = field.type === "list" ? "One on each line" : field.type === "json" ? "JSON" : undefined;
    return <textarea {...common} class={field.type === "json" ? "code" : ""} rows={rows} placeholder={hint} value={String(held ?? "")} onInput={onInput} spellcheck={field.type !== "json"} />;
  }
  const isNumber = field.type === "number" || field.type === "integer";
  return <input type={INPUTS[field.type] ?? "text"} inputMode={isNumber ? (field.type === "integer" ? "numeric" : "decimal") : undefined} {...common} value={String(held ?? "")} onInput={onInput} autocomplete="off" />;
}

/** @param {{ field: Field } & Form} props */
function Many({ field, fields, faults, write }) {
  const id = idOf(field);
  const wrong = faultsOf(field, faults);
  const held = /** @type {readonly string[]} */ (fields[field.pointer] ?? []);
  const help = [field.description, field.hint].filter(Boolean).join(" · ");
  const set = (/** @type {string} */ key, /** @type {boolean} */ isOn) => write({ ...fields, [field.pointer]: isOn ? [...held, key] : held.filter((one) => one !== key) });
  return (
    <fieldset class="many" data-pointer={field.pointer} aria-describedby={wrong.length ? `${id}-faults` : undefined}>
      <legend>
        <Text>{field.title}</Text>
        {!field.isRequired && <span class="optional">optional</span>}
      </legend>
      {help && <p class="help"><Text>{help}</Text></p>}
      {field.choices.map(({ key, label }) => (
        <label key={key} class="choice">
          <input type="checkbox" checked={held.includes(key)} onChange={(event) => set(key, event.currentTarget.checked)} />
          <Text>{label}</Text>
        </label>
      ))}
      <Faults id={`${id}-faults`} faults={wrong} />
    </fieldset>
  );
}

/** @param {{ id: string, faults: readonly Fault[] }} props */
export function Faults({ id, faults }) {
  return (
    <div id={id} class="faults" role="alert">
      {faults.map(({ pointer, detail }) => (
        <p key={pointer + detail}>{detail}</p>
      ))}
    </div>
  );
}

/** @param {Field} field */
const idOf = (field) => `field-${field.pointer.replace(/[^\w-]/g, (sign) => `_${sign.codePointAt(0)}`) || "value"}`;
