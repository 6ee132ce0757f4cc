// Runs all tests: two mocha processes side by side, since the tests of whole stacks mostly wait for processes of their own; then, by itself,
// what promises something in seconds.
// One closing line that machines can read, as tests/reporter.cjs prints for each of them, comes last.
import { spawn } from "node:child_process";
import { once } from "node:events";

const WHOLE_STACKS = "cli,conformance,embedded,pulumi,updates";
const BY_ITSELF = "tests/cli/ending.test.ts";
const SIDE_BY_SIDE = [
  [`tests/{${WHOLE_STACKS}}/**/*.test.ts`, "--ignore", BY_ITSELF],
  [`tests/!(${WHOLE_STACKS.replaceAll(",", "|")})/**/*.test.ts`],
];
const SUMMARY = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m;

/** Runs one group; what it says is shown when its turn comes, the first one's as it comes. */
function start(patterns, index) {
  const child = spawn(process.execPath, ["node_modules/mocha/bin/mocha.js", ...patterns], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let shown = index === 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      said += text;
      if (shown) process.stdout.write(text);
    });
  }
  const show = () => {
    if (!shown) process.stdout.write(said);
    shown = true;
  };
  return { show, ended: once(child, "close").then(([code]) => ({ code, counts: SUMMARY.exec(said)?.slice(1).map(Number) })) };
}

const total = [0, 0, 0];
let failed = false;
for (const groups of [SIDE_BY_SIDE, [[BY_ITSELF]]]) {
  for (const { show, ended } of groups.map(start)) {
    show();
    const { code, counts } = await ended;
    counts?.forEach((count, index) => {
      total[index] += count;
    });
    if (code !== 0) {
      failed = true;
      // It ended otherwise than by a failing test: that is one failure too.
      if (!counts?.[1]) total[1]++;
    }
  }
}
console.log(`\n${total[0]} passed, ${total[1]} failed, ${total[2]} skipped`);
process.exitCode = failed ? 1 : 0;
