// GitHub's language service on workflow and action files:  node --import ./hooks.mjs language.mjs FILE...
// Prints [{file, line, severity, message}]; severity 1 is an error, 2 a warning.
import fs from "node:fs";
import path from "node:path";
import {validate} from "@actions/languageservice";
import {TextDocument} from "vscode-languageserver-textdocument";

const found = [];
for (const file of process.argv.slice(2)) {
  const document = TextDocument.create(`file://${path.resolve(file)}`, "yaml", 1, fs.readFileSync(file, "utf8"));
  for (const {range, severity, message} of await validate(document, {})) {
    found.push({file, line: range.start.line + 1, severity, message});
  }
}
console.log(JSON.stringify(found));
