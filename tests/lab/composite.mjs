// Runs one composite action as strictly as GitHub's own runner: where act is lenient, this is not.
//
//   node --import ./actions/js/hooks.mjs composite.mjs SPEC.json
//
// SPEC: {action: DIR, workspace: DIR, inputs: {}, github: {}, runner: {}, env: {}, host: {}, uses: {"OWNER/REPO/DIR": DIR}}
// `env` is what workflow and job set, `host` what the machine has (PATH). Prints
// {conclusion, outputs, steps, env, summary, log}.
//
// - A `run` step sees neither INPUT_* nor GITHUB_TOKEN nor the secrets: only its own `env:` and what `host` and
//   `env` hold.
// - An input that action.yml does not declare, or a required one that is missing, is an error; GitHub only warns.
// - Of an inner action only the outputs that it declares are outputs of the step.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {spawnSync} from "node:child_process";
import YAML from "yaml";
import {condition, interpolate} from "./actions/js/expressions.mjs";

const SHELLS = {
  bash: ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
  sh: ["sh", "-e"],
  python: ["python3"],
};
const FILES = ["OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY"];

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object ?? {}).map(([name, value]) => [name, change(value, name)]));

const prefixed = (prefix, object) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [prefix + name.toUpperCase(), value]));

function load(directory) {
  const names = ["action.yml", "action.yaml"].map((name) => path.join(directory, name));
  const action = YAML.parse(fs.readFileSync(names.find((name) => fs.existsSync(name)), "utf8"));
  if (action.runs?.using !== "composite") throw Error(`not a composite action: ${directory}`);
  return action;
}

// NAME=VALUE lines and NAME<<DELIMITER blocks.
function commandFile(file) {
  const values = {};
  const lines = fs.readFileSync(file, "utf8").split("\n");
  while (lines.length) {
    const line = lines.shift();
    const equals = line.indexOf("=");
    const block = line.match(/^([^=]+?)<<(.+)$/);
    if (block && (equals < 0 || line.indexOf("<<") < equals)) {
      const end = lines.indexOf(block[2]);
      if (end < 0) throw Error(`no line ${block[2]} after ${block[1]}`);
      values[block[1]] = lines.splice(0, end + 1).slice(0, -1).join("\n");
    } else if (equals > 0) values[line.slice(0, equals)] = line.slice(equals + 1);
    else if (line.trim()) throw Error(`not a line of a command file: ${line}`);
  }
  return values;
}

function inputsOf(action, given, contexts, status) {
  const declared = action.inputs ?? {};
  const unknown = Object.keys(given).filter((name) => !(name in declared));
  if (unknown.length) throw Error(`unexpected inputs: ${unknown}`);
  return mapValues(declared, (input, name) => {
    if (given[name] !== undefined) return String(given[name]);
    if (input.default !== undefined) return interpolate(input.default, contexts, status);
    if (input.required) throw Error(`required input is missing: ${name}`);
    return "";
  });
}

function runScript(step, job, contexts, status, environment) {
  if (!SHELLS[step.shell]) throw Error(`a run step of a composite action names its shell: ${step.name ?? step.run}`);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "step-"));
  const files = Object.fromEntries(FILES.map((name) => [name, path.join(scratch, name)]));
  Object.values(files).forEach((file) => fs.writeFileSync(file, ""));
  const script = path.join(scratch, step.shell === "python" ? "script.py" : "script.sh");
  fs.writeFileSync(script, interpolate(step.run, contexts, status));
  const {token, event, ...github} = contexts.github;
  const directory = interpolate(step["working-directory"] ?? ".", contexts, status);
  const env = {
    ...job.host, ...job.env, ...environment, CI: "true", GITHUB_ACTIONS: "true",
    ...prefixed("GITHUB_", github), ...prefixed("RUNNER_", contexts.runner), ...prefixed("GITHUB_", files),
  };
  env.PATH = [...job.paths, env.PATH].join(":");
  const done = spawnSync(SHELLS[step.shell][0], [...SHELLS[step.shell].slice(1), script], {
    cwd: path.resolve(contexts.github.workspace, directory), env, encoding: "utf8",
  });
  const outputs = commandFile(files.OUTPUT);
  Object.assign(job.env, commandFile(files.ENV));
  job.paths.unshift(...fs.readFileSync(files.PATH, "utf8").split("\n").filter(Boolean));
  job.summary += fs.readFileSync(files.STEP_SUMMARY, "utf8");
  job.log.push({step: step.name ?? step.id, code: done.status, stdout: done.stdout, stderr: done.stderr});
  fs.rmSync(scratch, {recursive: true});
  return {ok: done.status === 0, outputs};
}

function runInner(step, job, contexts, status, environment) {
  const local = step.uses.startsWith("./");
  const directory = local ? path.join(contexts.github.workspace, step.uses) : job.uses[step.uses.replace(/@.*/, "")];
  if (!directory) throw Error(`no stand-in for ${step.uses}`);
  const given = mapValues(step.with, (value) => interpolate(value, contexts, status));
  const inner = runAction(directory, given, {...contexts.github}, {...job, env: {...job.env, ...environment}});
  return {ok: inner.conclusion === "success", outputs: inner.outputs};
}

function runAction(directory, given, github, job) {
  const action = load(directory);
  const status = {success: true, failure: false, cancelled: false};
  const steps = {};
  Object.assign(github, {action_path: directory, workspace: job.workspace});
  const around = () => ({github, env: job.env, runner: job.runner, job: {status: status.success ? "success" : "failure"}});
  const inputs = inputsOf(action, given, around(), status);
  action.runs.steps.forEach((step, position) => {
    const id = step.id ?? `__${position}`;
    const contexts = {...around(), inputs, steps};
    if (!condition(step.if, contexts, status)) {
      steps[id] = {outputs: {}, outcome: "skipped", conclusion: "skipped"};
      return;
    }
    const environment = mapValues(step.env, (value) => interpolate(value, contexts, status));
    const run = step.uses ? runInner : runScript;
    const {ok, outputs} = run(step, job, {...contexts, env: {...job.env, ...environment}}, status, environment);
    const failed = !ok && !step["continue-on-error"];
    steps[id] = {outputs, outcome: ok ? "success" : "failure", conclusion: failed ? "failure" : "success"};
    if (failed) Object.assign(status, {success: false, failure: true});
  });
  const outputs = mapValues(action.outputs, (output) => interpolate(output.value, {...around(), inputs, steps}, status));
  return {conclusion: status.success ? "success" : "failure", outputs, steps};
}

const spec = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const job = {
  workspace: path.resolve(spec.workspace), runner: spec.runner ?? {}, env: {...spec.env}, host: spec.host ?? {},
  uses: spec.uses ?? {}, paths: [], summary: "", log: [],
};
const done = runAction(path.resolve(spec.action), spec.inputs ?? {}, {...spec.github}, job);
console.log(JSON.stringify({...done, env: job.env, summary: job.summary, log: job.log}));
