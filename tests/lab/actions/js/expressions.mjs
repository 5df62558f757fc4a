// GitHub's own evaluator of ${{ expressions }}, with the functions that only a runner can answer.
import {Parser, Lexer, Evaluator, data, wellKnownFunctions} from "@actions/expressions";

const answer = (name, value) => ({
  name, description: "", minArgs: 0, maxArgs: 255,
  call: () => new data.BooleanData(value),
});

const noFilesHere = {
  name: "hashFiles", description: "", minArgs: 1, maxArgs: 255,
  call: () => { throw Error("hashFiles() is not in the lab"); },
};

// `status` answers success(), failure(), cancelled(): {success, failure, cancelled}, each true or false.
export function evaluate(expression, contexts, status) {
  const functions = [
    answer("success", status.success), answer("failure", status.failure),
    answer("cancelled", status.cancelled), answer("always", true), noFilesHere,
  ];
  const known = [...functions, ...Object.values(wellKnownFunctions)];
  const tree = new Parser(new Lexer(expression).lex().tokens, Object.keys(contexts), known).parse();
  const values = JSON.parse(JSON.stringify(contexts), data.reviver);
  return new Evaluator(tree, values, new Map(functions.map((f) => [f.name.toLowerCase(), f]))).evaluate();
}

export const plain = (value) => JSON.parse(JSON.stringify(value, data.replacer));
export const truthy = (value) => ![false, null, 0, ""].includes(plain(value));

// The text of a YAML value after every ${{ }} in it was replaced.
export function interpolate(value, contexts, status) {
  if (typeof value !== "string") return String(value ?? "");
  const replace = (_, expression) => evaluate(expression.trim(), contexts, status).coerceString();
  return value.replace(/\$\{\{((?:[^'}]|'[^']*'|\}(?!\}))*)\}\}/gs, replace);
}

// A step's or job's `if:`; without a status function it means "success() and".
export function condition(source, contexts, status) {
  if (source === undefined || source === null) return status.success;
  const whole = String(source).trim().match(/^\$\{\{(.*)\}\}$/s);
  const text = (whole ? whole[1] : String(source)).trim();
  const asks = /\b(success|failure|always|cancelled)\s*\(/i.test(text);
  return truthy(evaluate(asks ? text : `success() && (${text})`, contexts, status));
}
