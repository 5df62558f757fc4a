// Answers questions about workflow files, one JSON object a line, until its input ends.
//   {"ask": "parse", "name": ..., "content": ...}                      -> {errors, workflow, events, jobs}
//   {"ask": "evaluate", "expression": ..., "contexts": {}, "status": {}} -> {value}
import readline from "node:readline";
import {parseWorkflow, convertWorkflowTemplate, NoOperationTraceWriter} from "@actions/workflow-parser";
import {evaluate, plain} from "./expressions.mjs";

async function parse({name, content}) {
  const {context, value} = parseWorkflow({name, content}, new NoOperationTraceWriter());
  const errors = () => context.errors.getErrors().map((error) => error.message);
  if (!value || errors().length) return {errors: errors()};
  const template = await convertWorkflowTemplate(context, value, undefined, {errorPolicy: 1});
  const jobs = template.jobs.map((job) => ({id: job.id.value, needs: (job.needs ?? []).map(String), if: job.if.expression}));
  return {errors: errors(), workflow: value, events: template.events, jobs};
}

const answers = {
  parse,
  evaluate: ({expression, contexts, status}) => ({value: plain(evaluate(expression, contexts, status))}),
};

for await (const line of readline.createInterface({input: process.stdin})) {
  const question = JSON.parse(line);
  let answer;
  try {
    answer = await answers[question.ask](question);
  } catch (error) {
    answer = {failed: String(error?.message ?? error)};
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
