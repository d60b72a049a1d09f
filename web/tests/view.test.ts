import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  absoluteRange,
  decodeZoom,
  DEFAULT_VIEW,
  encodeZoom,
  fixedValue,
  formatSelector,
  graphGroup,
  isRelative,
  isTime,
  parseSelector,
  toMs,
  type View,
  viewFromSearch,
  viewToSearch,
  widened,
  withValue,
} from "../src/state/index.ts";

const anyTime = fc.oneof(
  fc.constantFrom("now", "now-15m", "now-1h30m", "2026-01-02T03:04:05Z"),
  fc.nat({ max: 2_000_000_000 }).map(String),
);

const anyView: fc.Arbitrary<View> = fc.record({
  query: fc.string({ unit: "binary" }),
  from: anyTime,
  until: anyTime,
  groupBy: fc.string(),
  graphBy: fc.option(fc.string()),
  search: fc.string({ unit: "grapheme" }),
  zoom: fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 200 }),
  span: fc.option(fc.tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 1, max: 1000 })).map(([a, b]) => [a / 1000, a / 1000 + b / 1000].map((x) => Math.round(x * 1e9) / 1e9) as [number, number])),
  flip: fc.boolean(),
  colouring: fc.constantFrom("module", "group"),
  page: fc.constantFrom("explore", "functions", "sandwich", "compare", "fleet", "capacity"),
  focus: fc.option(fc.record({ name: fc.string({ unit: "grapheme" }), module: fc.string() })),
  base: fc.option(fc.record({ query: fc.string(), from: anyTime, until: anyTime })),
  form: fc.constantFrom("merged", "side"),
  measure: fc.constantFrom("share", "absolute"),
  pane: fc.constantFrom("both", "graph", "table"),
  sort: fc.constantFrom("self", "total", "name"),
  chart: fc.constantFrom("stacked", "lines", "heatmap"),
  slice: fc.option(fc.constantFrom("1760000000..1760000001", "1760000000.25..1760000000.5", "0.000001..9")),
  capacityBy: fc.constantFrom("service", "version", "function"),
  allNodes: fc.boolean(),
});

describe("links", () => {
  it("bring back the view they were made from", () => {
    fc.assert(
      fc.property(anyView, (view) => {
        fc.pre([view.query, view.search, view.focus?.name ?? ""].every((text) => text.isWellFormed()));
        expect(viewFromSearch(viewToSearch(view))).toEqual(view);
      }),
    );
  });

  it("survive being cut and edited by hand", () => {
    for (const search of ["?span=1~", "?span=2~1", "?span=a~b", "?page=x", "?colour=red", "?form=3d", "?flip=yes"]) {
      expect(viewFromSearch(search)).toEqual(DEFAULT_VIEW);
    }
    expect(viewFromSearch("?base=cpu&base_from=monday").base).toEqual({ query: "cpu", from: "now-15m", until: "now" });
  });

  it("are empty for the standard view", () => {
    expect(viewToSearch(DEFAULT_VIEW)).toBe("");
    expect(viewFromSearch("")).toEqual(DEFAULT_VIEW);
  });

  it("stay readable", () => {
    const view = { ...DEFAULT_VIEW, query: 'cpu{service_name="api"}', from: "1760000000", until: "1760000900" };
    expect(viewToSearch(view)).toBe("?query=cpu%7Bservice_name%3D%22api%22%7D&from=1760000000&until=1760000900");
  });

  it("that are damaged open as far as they can be read", () => {
    expect(viewFromSearch("?from=yesterday&until=now&pane=huge&sort=&zoom=!!!!!!&nodes=some")).toEqual(DEFAULT_VIEW);
    fc.assert(fc.property(fc.string(), (text) => void viewFromSearch(text)));
  });

  it("carry a zoom of any depth", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffffffff })), (zoom) => {
        expect(decodeZoom(encodeZoom(zoom))).toEqual(zoom);
      }),
    );
    expect(decodeZoom("AAA")).toEqual([]);
    expect(decodeZoom("A".repeat(1_000_000)).length).toBeLessThanOrEqual(2048);
  });
});

describe("the flame graph's group", () => {
  it("is the service while the selector leaves several", () => {
    const auto = (query: string) => graphGroup({ query, graphBy: null });
    expect(auto("cpu{}")).toBe("service_name");
    expect(auto('cpu{service_name=~"a.*", host="h"}')).toBe("service_name");
    expect(auto('cpu{service_name!="a"}')).toBe("service_name");
    expect(auto('cpu{host="h", service_name="a"}')).toBe("");
    expect(auto("cpu{'x'='y', service_name='a'}")).toBe("");
    expect(graphGroup({ query: 'cpu{service_name="a"}', graphBy: "host" })).toBe("host");
    expect(graphGroup({ query: "cpu{}", graphBy: "" })).toBe("");
  });
});

describe("times", () => {
  it("are what the server takes", () => {
    for (const time of ["now", "now-15m", "now-1h30m", "1760000000", "2025-10-09T08:53:20Z"]) expect(isTime(time)).toBe(true);
    for (const time of ["", "then", "now-", "now+5m", "15m", "2025"]) expect(isTime(time)).toBe(time === "2025");
    expect(toMs("now-1h30m", 10_000_000)).toBe(10_000_000 - 5_400_000);
    expect(isRelative({ from: "now-15m", until: "now" })).toBe(true);
    expect(isRelative({ from: "1760000000", until: "1760000900" })).toBe(false);
  });

  it("become absolute in whole windows that cover what was asked", () => {
    fc.assert(
      fc.property(fc.nat(2e12), fc.nat(1e9), (from, length) => {
        const range = absoluteRange(from, from + length);
        const [a, b] = [Number(range.from) * 1000, Number(range.until) * 1000];
        expect(a % 10_000).toBe(0);
        expect(b % 10_000).toBe(0);
        expect(a).toBeLessThanOrEqual(from);
        expect(b).toBeGreaterThanOrEqual(from + length);
        expect(b).toBeGreaterThan(a);
      }),
    );
  });

  it("are widened to twice the length, not into the future", () => {
    expect(widened(1_000_000, 1_600_000, 9e9)).toEqual({ from: "700", until: "1900" });
    expect(widened(1_000_000, 1_600_000, 1_600_000)).toEqual({ from: "400", until: "1600" });
  });
});

describe("selectors", () => {
  const text = 'cpu{service_name="api",host=~"web-.*", zone!="a"}';

  it("are taken apart", () => {
    expect(parseSelector(text)).toEqual({
      type: "cpu",
      matchers: [
        { label: "service_name", operator: "=", value: "api" },
        { label: "host", operator: "=~", value: "web-.*" },
        { label: "zone", operator: "!=", value: "a" },
      ],
    });
    expect(parseSelector("process_cpu:cpu:nanoseconds:cpu:nanoseconds")?.matchers).toEqual([]);
    for (const wrong of ["", "{}", "cpu{", "cpu{a=b}", 'cpu{a="b" c="d"}', 'cpu{a="b}']) expect(parseSelector(wrong)).toBeNull();
  });

  it("change in one place only", () => {
    const selector = parseSelector(text);
    if (!selector) throw new Error("unreachable");
    expect(formatSelector(withValue(selector, "service_name", "we\"b"))).toBe('cpu{service_name="we\\"b", host=~"web-.*", zone!="a"}');
    expect(formatSelector(withValue(selector, "service_name", null))).toBe('cpu{host=~"web-.*", zone!="a"}');
    expect(fixedValue(selector, "service_name")).toBe("api");
    expect(fixedValue(selector, "host")).toBeNull();
  });

  it("keep any value through text and back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        const written = formatSelector(withValue({ type: "cpu", matchers: [] }, "l", value));
        const read = parseSelector(written);
        expect(read && fixedValue(read, "l")).toBe(value);
      }),
    );
  });
});
