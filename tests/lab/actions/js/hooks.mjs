// Preloaded with `node --import`: bare imports of the lab's scripts are those of tests/js, and a package may
// import its JSON files without an attribute, which Node 20 refuses and bundlers allow.
import {register} from "node:module";

const packages = new URL("../../../js/package.json", import.meta.url).href;

const hooks = `
import fs from "node:fs";
import {fileURLToPath} from "node:url";

export async function resolve(specifier, context, next) {
  const bare = !/^(\\.|\\/|[a-z]+:)/.test(specifier);
  const ours = context.parentURL?.startsWith(${JSON.stringify(new URL("../../", import.meta.url).href)});
  return next(specifier, bare && ours ? {...context, parentURL: ${JSON.stringify(packages)}} : context);
}

export async function load(url, context, next) {
  if (!url.endsWith(".json")) return next(url, context);
  const source = "export default " + fs.readFileSync(fileURLToPath(url), "utf8");
  return {format: "module", shortCircuit: true, source};
}`;

register("data:text/javascript," + encodeURIComponent(hooks));
