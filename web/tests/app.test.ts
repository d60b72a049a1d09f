import { describe, expect, it } from "vitest";
import { formatDuration, formatNs, formatRate, formatShare, formatValue, perTime } from "../src/app/format.ts";
import { chartData, marksOf, MAX_GROUPS, stacked } from "../src/app/series.ts";
import { barsOf, monthly } from "../src/app/capacity.ts";
import { originFacts } from "../src/app/frame.ts";
import { buildTree } from "../src/layout/index.ts";
import type { Capacity, CapacityRow, Flamegraph, Timeline } from "../src/state/index.ts";
import { profileOf } from "./profiles.ts";

describe("numbers", () => {
  const times: [ns: number, text: string][] = [
    [0, "0 s"],
    [12, "12 ns"],
    [4_560, "4.56 µs"],
    [10_101_010, "10.1 ms"],
    [1_240_000_000, "1.24 s"],
    [61e9, "1.02 min"],
    [5_400e9, "1.50 h"],
    [36_000_000e9, "10,000 h"],
  ];
  it.each(times)("%d ns is %s", (ns, text) => {
    expect(formatNs(ns)).toBe(text);
  });

  it("writes other units too", () => {
    expect(formatValue(1536, "bytes")).toBe("1.5 KiB");
    expect(formatValue(1234567, "count")).toBe("1,234,567");
  });

  const shares: [part: number, whole: number, text: string][] = [
    [0, 100, "0 %"],
    [1, 0, "0 %"],
    [1, 1e6, "< 0.01 %"],
    [1234, 10_000, "12.3 %"],
    [50, 10_000, "0.50 %"],
    [100, 100, "100 %"],
    [999_999, 1_000_000, "> 99.99 %"],
    [9996, 10_000, "99.96 %"],
  ];
  it.each(shares)("%d of %d is %s", (part, whole, text) => {
    expect(formatShare(part, whole)).toBe(text);
  });

  const rates: [rate: number, text: string][] = [
    [0, "0"],
    [0.000033, "<0.001"],
    [0.0341, "0.034"],
    [1.2345, "1.23"],
    [12.345, "12.3"],
    [1234.5, "1,235"],
    [1_234_567, "1.23M"],
  ];
  it.each(rates)("%d cores are %s", (rate, text) => {
    expect(formatRate(rate, "nanoseconds")).toBe(text);
  });

  it("turns CPU time into cores", () => {
    expect(perTime(20e9, "nanoseconds", 10_000)).toBe(2);
    expect(perTime(20, "count", 10_000)).toBe(2);
    expect(formatDuration(910_000)).toBe("15 min 10 s");
    expect(formatDuration(90_000_000)).toBe("1 d 1 h");
  });
});

function timeline(steps: number, groups: readonly (readonly [value: string, each: number])[]): Timeline {
  return {
    from_ms: 0,
    until_ms: steps * 10_000,
    step_ms: 10_000,
    unit: "nanoseconds",
    groups: groups.map(([value, each]) => ({ label: "service_name", value, values: Array(steps).fill(each), total: each * steps })),
  };
}

describe("chartData", () => {
  it("shows cores per step and closes the last one", () => {
    const data = chartData(timeline(3, [["api", 20e9]]), null);
    expect(data.edges).toEqual([0, 10, 20, 30]);
    expect(data.settledSteps).toBe(3);
    expect(data.covered).toEqual({ fromMs: 0, untilMs: 30_000, isWhole: true });
    expect(data.series).toEqual([{ name: "api", isRest: false, rates: [2, 2, 2], average: 2 }]);
  });

  it("divides a cut last step by the time it covers", () => {
    const cut = { ...timeline(2, [["api", 20e9]]), step_ms: 10_000, until_ms: 15_000 };
    expect(chartData(cut, null).series[0].rates).toEqual([2, 4]);
    expect(chartData(cut, null).edges).toEqual([0, 10, 15]);
  });

  it("marks the end of a live range as still filling", () => {
    expect(chartData(timeline(6, [["api", 1]]), 59_000)).toMatchObject({ settledSteps: 4, edges: [0, 10, 20, 30, 40, 50, 60] });
    expect(chartData(timeline(6, [["api", 1]]), null).settledSteps).toBe(6);
    const long = { ...timeline(6, [["api", 1]]), step_ms: 60_000, until_ms: 360_000 };
    expect(chartData(long, 359_000)).toMatchObject({ settledSteps: 5 });
  });

  it("takes the rate of a step that is filling over the time that has passed", () => {
    const filling = timeline(3, [["api", 20e9]]);
    const values = [20e9, 20e9, 10e9];
    const live = { ...filling, groups: [{ ...filling.groups[0], values, total: 50e9 }] };
    expect(chartData(live, 26_000).series[0]).toMatchObject({ rates: [2, 2, 2], average: 2 });
    expect(chartData(live, 26_000).covered).toEqual({ fromMs: 0, untilMs: 25_000, isWhole: true });
    // Another clock than the server's cannot make it absurd.
    expect(chartData(live, 9e9).series[0].rates[2]).toBeCloseTo(10 / 9);
    expect(chartData(live, 0).series[0].rates.length).toBe(2);
    // What has only just begun says nothing yet.
    expect(chartData(live, 22_000).edges).toEqual([0, 10, 20]);
  });

  it("averages over the part that there are data of", () => {
    const late = { ...timeline(4, []), groups: [{ label: "", value: "", values: [0, 0, 20e9, 20e9], total: 40e9 }] };
    expect(chartData(late, null).series[0].average).toBe(2);
    expect(chartData(late, null).covered).toEqual({ fromMs: 20_000, untilMs: 40_000, isWhole: false });
  });

  it("sums the groups that are too many into one", () => {
    const many = Array.from({ length: MAX_GROUPS + 5 }, (_, i) => [`s${i}`, 10e9] as const);
    const data = chartData(timeline(1, many), null);
    expect(data.series.length).toBe(MAX_GROUPS + 1);
    expect(data.series.at(-1)).toMatchObject({ name: "5 more", isRest: true, rates: [5] });
  });

  it("copes with no groups at all", () => {
    expect(chartData(timeline(3, []), 29_000)).toMatchObject({ edges: [], series: [], settledSteps: 0 });
  });

  it("stacks with the largest at the bottom", () => {
    expect(stacked(chartData(timeline(2, [["a", 20e9], ["b", 10e9]]), null).series)).toEqual([[2, 2], [3, 3]]);
  });
});

describe("marks of a timeline", () => {
  const timeline = (groups: Record<string, number[]>): Timeline => ({
    from_ms: 1_000_000,
    until_ms: 1_050_000,
    step_ms: 10_000,
    unit: "nanoseconds",
    groups: Object.entries(groups).map(([value, values]) => ({ label: "version", value, values, total: 1 })),
  });

  it("are where a version begins after the data do, and notes", () => {
    const found = marksOf(timeline({ "1.4": [0, 5, 5, 0, 0], "1.5": [0, 0, 1, 5, 5], "1.6": [0, 0, 0, 0, 2], "": [0, 1, 1, 1, 1] }), [{ at_ms: 1_025_000, text: "rollback" }]);
    expect(found).toEqual([
      { kind: "version", text: "1.5", atMs: 1_020_000 },
      { kind: "note", text: "rollback", atMs: 1_025_000 },
      { kind: "version", text: "1.6", atMs: 1_040_000 },
    ]);
  });

  it("are none without versions, and none where only samples without one begin", () => {
    expect(marksOf(null, [])).toEqual([]);
    expect(marksOf(timeline({}), [])).toEqual([]);
    expect(marksOf(timeline({ "1.4": [1, 1], "": [0, 1], "(other)": [0, 1], none: [0, 0] }), [])).toEqual([]);
  });
});

describe("where a frame is from", () => {
  const tree = buildTree(profileOf("f;g 3"));
  const sampling = [{ source: "cpu-clock", frequency_hz: 19, hosts: 3 }];
  const facts = (builds: NonNullable<Flamegraph["builds"]>, node = 1) => originFacts({ builds, sampling }, tree, node);

  it("is its module's build, and how samples were taken", () => {
    expect(facts([{ count: 1, ids: ["0a1b"] }])).toEqual([["Build", "0a1b"], ["Sampled", "by the CPU clock, 19 Hz"]]);
    expect(facts([{ count: 3, ids: ["0123456789abcdef0123456789", "b", "c"] }])[0][1]).toBe("0123456789abcdef0123… or one of 2 others");
  });

  it("is not said of what is no function, nor where nothing is known", () => {
    expect(facts([{ count: 1, ids: ["0a1b"] }], 0)).toEqual([]);
    expect(facts([{ count: 0, ids: [] }])).toEqual([["Sampled", "by the CPU clock, 19 Hz"]]);
    expect(originFacts({}, tree, 1)).toEqual([]);
  });
});

describe("capacity", () => {
  const row = (name: string, start: string, cores: number): CapacityRow => ({ name, properties: {}, window: { start, end: "" }, minutes: 60, cpuCoreUsageAverage: cores, cpu_seconds: cores * 3600, relative_error: null, cpu_cost: null });
  const answer = (rows: CapacityRow[]) => ({ rows }) as unknown as Capacity;

  it("has a bar for each step, in order of time, and none where a row is not among the largest", () => {
    const bars = barsOf(answer([row("a", "T02", 3), row("a", "T01", 1), row("b", "T02", 5)]), "service");
    expect(bars.get("a")).toEqual({ cores: [1, 3], least: 1, most: 3 });
    expect(bars.get("b")).toEqual({ cores: [0, 5], least: 0, most: 5 });
  });

  it("tells functions of one name in two modules apart", () => {
    const of = (module: string) => ({ ...row("", "T01", 1), function: "f", module });
    expect(barsOf(answer([of("a"), of("b")]), "function").size).toBe(2);
  });

  it("costs a month at the rate of an hour", () => {
    expect(monthly(2, 60)).toBe(1460);
    expect(monthly(2, 0)).toBe(0);
  });
});
