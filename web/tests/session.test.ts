import { describe, expect, it } from "vitest";
import { type Api, ApiError, createApi, type Environment, exactRange, type Flamegraph, type GraphOptions, Latest, linkOf, LIVE_INTERVAL_MS, searchMode, type SearchAnswer, Session, viewFromSearch, viewToSearch, withoutService } from "../src/state/index.ts";

/** Promises that are settled by hand, in any order. */
class Desk<T> {
  readonly questions: { arguments: readonly unknown[]; signal: AbortSignal; answer(value: T): void; fail(error: unknown): void }[] = [];

  ask = (...everything: unknown[]): Promise<T> =>
    new Promise((resolve, reject) => {
      const signal = everything.at(-1) as AbortSignal;
      this.questions.push({ arguments: everything.slice(0, -1), signal, answer: resolve, fail: reject });
    });
}

const settled = async () => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

describe("Latest", () => {
  it("drops an answer that arrives after a newer question, and aborts its request", async () => {
    const desk = new Desk<string>();
    const latest = new Latest();
    const seen: unknown[] = [];
    const ask = () => latest.ask((signal) => desk.ask(signal), (outcome) => seen.push(outcome.ok ? outcome.value : outcome.error));
    ask();
    ask();
    expect(desk.questions[0].signal.aborted).toBe(true);
    desk.questions[1].answer("new");
    await settled();
    desk.questions[0].answer("old");
    await settled();
    expect(seen).toEqual(["new"]);
    expect(latest.busy).toBe(false);
  });

  it("drops a late failure too, and everything after a cancel", async () => {
    const desk = new Desk<string>();
    const latest = new Latest();
    const seen: unknown[] = [];
    const ask = () => latest.ask((signal) => desk.ask(signal), (outcome) => seen.push(outcome));
    ask();
    ask();
    desk.questions[0].fail(new Error("late"));
    latest.cancel();
    desk.questions[1].answer("cancelled");
    await settled();
    expect(seen).toEqual([]);
  });
});

class FakePage implements Environment {
  address = "";
  hidden = false;
  now = 1_000_000;
  readonly history: string[] = [];
  timers = new Map<number, { run: () => void; ms: number }>();
  #back: () => void = () => undefined;
  #visibility: () => void = () => undefined;
  #next = 1;

  readAddress = () => this.address;
  writeAddress = (search: string, how: "push" | "replace") => {
    if (how === "push") this.history.push(this.address);
    this.address = search;
  };
  onBackOrForward = (listener: () => void) => void (this.#back = listener);
  isHidden = () => this.hidden;
  onVisibilityChange = (listener: () => void) => void (this.#visibility = listener);
  setTimer = (run: () => void, ms: number) => {
    this.timers.set(this.#next, { run, ms });
    return this.#next++;
  };
  clearTimer = (timer: number) => void this.timers.delete(timer);
  nowMs = () => this.now;

  back(): void {
    this.address = this.history.pop() ?? "";
    this.#back();
  }
  show(hidden: boolean): void {
    this.hidden = hidden;
    this.#visibility();
  }
  runTimers(): void {
    const due = [...this.timers.values()];
    this.timers.clear();
    for (const timer of due) timer.run();
  }
}

const flame = (total: number): Flamegraph => ({ total }) as Flamegraph;

function open(address = "") {
  const page = new FakePage();
  page.address = address;
  const desk = new Desk<Flamegraph>();
  const search = new Desk<SearchAnswer>();
  const now = <T>(value: T) => () => Promise.resolve(value);
  const rest = { rows: [], groups: [], unit: "nanoseconds", total: 0 } as never;
  const api: Api = { profileTypes: now([]), labels: now([]), timeline: now(rest), heatmap: now(rest), top: now(rest), flamegraph: desk.ask as Api["flamegraph"], search: search.ask as Api["search"], sandwich: now(rest), compare: now(rest), diff: now(rest), agents: now({ agents: [], broken: [], nameless: [] }), annotations: now([]), capacity: now(rest), capacityAddress: () => "", compareFile: now(rest), makeLink: now(rest), link: now(rest), exportAddress: () => "", parse: now(rest) };
  const session = new Session(api, page);
  session.start();
  return { page, desk, search, session };
}

describe("Session", () => {
  it("never shows an older answer over a newer one", async () => {
    const { desk, session } = open();
    session.setQuery('cpu{service_name="api"}');
    desk.questions[1].answer(flame(2));
    await settled();
    desk.questions[0].answer(flame(1));
    await settled();
    expect(session.snapshot.flamegraph.answer?.total).toBe(2);
  });

  it("keeps the last picture, marked stale, until the new one is there", async () => {
    const { desk, session } = open();
    desk.questions[0].answer(flame(1));
    await settled();
    session.setQuery("cpu{a=\"b\"}");
    expect(session.snapshot.flamegraph).toMatchObject({ stale: true, loading: true, answer: { total: 1 } });
    desk.questions[1].answer(flame(2));
    await settled();
    expect(session.snapshot.flamegraph).toMatchObject({ stale: false, loading: false, answer: { total: 2 } });
  });

  it("refreshes a live range without calling the picture stale, and not a fixed one", async () => {
    const { page, desk, session } = open();
    desk.questions[0].answer(flame(1));
    await settled();
    expect([...page.timers.values()].map((timer) => timer.ms)).toEqual([LIVE_INTERVAL_MS]);
    page.runTimers();
    expect(session.snapshot.flamegraph).toMatchObject({ stale: false, loading: true, answer: { total: 1 } });
    desk.questions[1].answer(flame(2));
    await settled();
    session.navigate({ from: "1760000000", until: "1760000900" });
    desk.questions[2].answer(flame(3));
    await settled();
    expect(page.timers.size).toBe(0);
  });

  it("asks a slow server less often", async () => {
    const { page, desk } = open();
    page.now += 20_000;
    desk.questions[0].answer(flame(1));
    await settled();
    expect([...page.timers.values()][0].ms).toBe(60_000);
  });

  it("is not put off by steps in between", async () => {
    const { page, desk, session } = open();
    desk.questions[0].answer(flame(1));
    await settled();
    page.now += 4_000;
    session.navigate({ allNodes: true });
    desk.questions[1].answer(flame(2));
    await settled();
    expect([...page.timers.values()].map((timer) => timer.ms)).toEqual([LIVE_INTERVAL_MS]);
    page.runTimers();
    page.now += 30_000;
    session.navigate({ allNodes: false });
    page.now += 1_000;
    desk.questions[3].answer(flame(3));
    await settled();
    expect([...page.timers.values()].map((timer) => timer.ms)).toEqual([LIVE_INTERVAL_MS - 1_000]);
  });

  it("stops while paused or hidden and goes on afterwards", async () => {
    const { page, desk, session } = open();
    desk.questions[0].answer(flame(1));
    await settled();
    session.setPaused(true);
    expect(page.timers.size).toBe(0);
    session.setPaused(false);
    expect(desk.questions.length).toBe(2);
    page.hidden = true;
    desk.questions[1].answer(flame(2));
    await settled();
    expect(page.timers.size).toBe(0);
    page.show(false);
    expect(desk.questions.length).toBe(3);
  });

  it("keeps the picture and goes on asking when the server goes away", async () => {
    const { page, desk, session } = open();
    desk.questions[0].answer(flame(1));
    await settled();
    page.runTimers();
    desk.questions[1].fail(new ApiError(0, "unreachable", "The server does not answer."));
    await settled();
    expect(session.snapshot.flamegraph).toMatchObject({ answer: { total: 1 }, error: { passing: true } });
    expect(page.timers.size).toBe(1);
    page.runTimers();
    desk.questions[2].answer(flame(3));
    await settled();
    expect(session.snapshot.flamegraph).toMatchObject({ answer: { total: 3 }, error: null });
  });

  it("does not repeat a question that is wrong", async () => {
    const { page, desk, session } = open("?query=cpu%7B");
    desk.questions[0].fail(new ApiError(400, "bad_selector", "expected }", "Close the brace."));
    await settled();
    expect(session.snapshot.flamegraph.error?.hint).toBe("Close the brace.");
    expect(page.timers.size).toBe(0);
  });

  it("goes back to the view before, and asks again only if other data are needed", async () => {
    const { page, desk, session } = open();
    session.navigate({ zoom: [1, 2] });
    session.navigate({ search: "main" }, "replace");
    expect(desk.questions.length).toBe(1);
    page.back();
    expect(session.snapshot.view).toMatchObject({ zoom: [], search: "" });
    expect(desk.questions.length).toBe(1);
    session.setQuery("mem{}");
    page.back();
    expect(session.snapshot.view.query).toBe("cpu{}");
    expect(desk.questions.length).toBe(3);
  });

  it("groups by service until one is chosen, and takes the zoom along", () => {
    const { desk, session } = open();
    const group = () => (desk.questions.at(-1)?.arguments[2] as GraphOptions | undefined)?.groupBy;
    expect(group()).toBe("service_name");
    session.navigate({ zoom: [1, 2] });
    session.setQuery('cpu{service_name="api"}');
    expect(group()).toBe("");
    expect(session.snapshot.view.zoom).toEqual([2]);
    session.navigate({ graphBy: "host" });
    expect(group()).toBe("host");
    expect(session.snapshot.view.zoom).toEqual([]);
  });

  it("goes without groups where there are too many and nobody asked for them", async () => {
    const { desk, session } = open();
    const tooMany = () => new ApiError(413, "too_large", "too many values");
    desk.questions[0].fail(tooMany());
    await settled();
    expect(desk.questions[1].arguments[2]).toMatchObject({ groupBy: "" });
    desk.questions[1].answer(flame(1));
    await settled();
    expect(session.snapshot.flamegraph).toMatchObject({ answer: { total: 1 }, error: null });
    session.navigate({ graphBy: "comm" });
    desk.questions[2].fail(tooMany());
    await settled();
    expect(session.snapshot.flamegraph.error?.status).toBe(413);
  });

  it("asks for a slice of the range on Explore alone, and forgets it with the range", async () => {
    const { desk, session } = open("?from=100&until=200&chart=heatmap");
    desk.questions[0].answer(flame(1));
    await settled();
    session.navigate({ slice: "110.25..110.5" });
    expect(desk.questions).toHaveLength(2);
    expect(session.snapshot.flamegraph.stale).toBe(true);
    expect(exactRange(session.snapshot.view)).toEqual({ from: "100", until: "200", span: "110.25..110.5" });
    expect(viewFromSearch(viewToSearch(session.snapshot.view)).slice).toBe("110.25..110.5");
    session.navigate({ page: "functions" });
    expect(session.snapshot.view.slice).toBeNull();
    session.navigate({ page: "explore", slice: "110.25..110.5" });
    session.navigate({ from: "90" });
    expect(session.snapshot.view.slice).toBeNull();
    session.navigate({ from: "100", slice: "110.25..110.5" });
    expect(session.snapshot.view.slice).toBe("110.25..110.5");
  });

  it("offers services whatever service is chosen", () => {
    expect(withoutService('cpu{service_name="api", zone="b"}')).toBe('cpu{zone="b"}');
    expect(withoutService("cpu{")).toBe("cpu{}");
  });
});

const prunedGraph = (total: number): Flamegraph => ({ total, nodes_before_pruning: 9, nodes: { parent: [0] } }) as unknown as Flamegraph;

const rangedGraph = (total: number, untilMs: number): Flamegraph => ({ ...prunedGraph(total), from_ms: 1_000, until_ms: untilMs });

describe("a paused page", () => {
  const range = (question: { arguments: readonly unknown[] } | undefined) => question?.arguments[1];

  it("stays at the moment it was paused, whatever is asked, and goes back without asking", async () => {
    const { page, desk, session } = open();
    desk.questions[0].answer(rangedGraph(1, 20_000));
    await settled();
    session.setPaused(true);
    page.now += 60_000;
    session.navigate({ zoom: [1] });
    expect(range(desk.questions[1])).toEqual({ from: "1", until: "20" });
    expect(session.snapshot.flamegraph).toMatchObject({ stale: false, answer: { total: 1 } });
    desk.questions[1].answer(rangedGraph(2, 20_000));
    await settled();
    expect(session.snapshot.flamegraph.answer?.total).toBe(2);
    page.back();
    expect(session.snapshot.view.zoom).toEqual([]);
    expect(session.snapshot.flamegraph).toMatchObject({ stale: false, loading: false, answer: { total: 1 } });
    expect(desk.questions).toHaveLength(2);
    session.setPaused(false);
    expect(range(desk.questions[2])).toEqual({ from: "now-15m", until: "now" });
    expect(session.snapshot.flamegraph).toMatchObject({ stale: false, loading: true });
  });

  it("does not move on for an answer that was on its way", async () => {
    const { page, desk, session } = open();
    desk.questions[0].answer(rangedGraph(1, 20_000));
    await settled();
    page.runTimers();
    session.setPaused(true);
    expect(desk.questions[1].signal.aborted).toBe(true);
    desk.questions[1].answer(rangedGraph(2, 30_000));
    await settled();
    expect(session.snapshot.flamegraph).toMatchObject({ loading: false, answer: { total: 1 } });
  });

  it("that is paused before there is an answer rests with the first one", async () => {
    const { desk, session } = open();
    session.setPaused(true);
    desk.questions[0].answer(rangedGraph(1, 20_000));
    await settled();
    session.navigate({ zoom: [1] });
    expect(range(desk.questions[1])).toEqual({ from: "1", until: "20" });
  });

  it("asks anew for another range", async () => {
    const { desk, session } = open();
    desk.questions[0].answer(rangedGraph(1, 20_000));
    await settled();
    session.setPaused(true);
    session.navigate({ from: "now-1h" });
    expect(range(desk.questions[1])).toEqual({ from: "now-1h", until: "now" });
    desk.questions[1].answer(rangedGraph(3, 90_000));
    await settled();
    session.navigate({ zoom: [1] });
    expect(range(desk.questions[2])).toEqual({ from: "1", until: "90" });
  });
});

describe("what a pruned picture leaves out", () => {
  const root = (question: { arguments: readonly unknown[] } | undefined) => (question?.arguments[2] as GraphOptions | undefined)?.root;

  it("is asked for below what is zoomed into, and the picture is not called stale meanwhile", async () => {
    const { desk, session } = open();
    expect(root(desk.questions[0])).toBe("");
    desk.questions[0].answer(prunedGraph(1));
    await settled();
    session.navigate({ zoom: [1, 2] });
    expect(root(desk.questions[1])).toHaveLength(12);
    expect(session.snapshot.flamegraph).toMatchObject({ stale: false, loading: true });
    session.navigate({ zoom: [1] });
    expect(desk.questions[1].signal.aborted).toBe(true);
    expect(root(desk.questions[2])).toHaveLength(6);
  });

  it("is not asked for where there is nothing more to see", async () => {
    const { desk, session } = open();
    desk.questions[0].answer(flame(1));
    await settled();
    session.navigate({ zoom: [1, 2] });
    expect(desk.questions).toHaveLength(1);
  });

  it("is searched by the server, once for each question", async () => {
    const { desk, search, session } = open("?search=memcpy");
    expect(search.questions).toHaveLength(0);
    desk.questions[0].answer(prunedGraph(1));
    await settled();
    expect(search.questions.map((question) => question.arguments[2])).toEqual(["memcpy"]);
    session.navigate({ search: "/mem/i" });
    session.navigate({ zoom: [7] });
    expect(search.questions.map((question) => question.arguments[2])).toEqual(["memcpy", "/mem/i"]);
    expect(search.questions[0].signal.aborted).toBe(true);
    session.navigate({ search: "" });
    expect(session.snapshot.search).toMatchObject({ answer: null, loading: false });
  });
});

describe("searchMode", () => {
  it("says in the server's words what was typed", () => {
    expect(searchMode(" memcpy ")).toEqual({ q: "memcpy", mode: "text" });
    expect(searchMode('"main"')).toEqual({ q: "main", mode: "exact" });
    expect(searchMode("/^a|b$/")).toEqual({ q: "^a|b$", mode: "regex" });
    expect(searchMode("/a/i")).toEqual({ q: "(?i)a", mode: "regex" });
    expect(searchMode("//")).toEqual({ q: "//", mode: "text" });
  });
});

describe("createApi", () => {
  const answering = (body: string, status = 200) => createApi(null, (() => Promise.resolve(new Response(body, { status }))) as typeof fetch);
  const { signal } = new AbortController();

  it("carries the server's message and hint", async () => {
    const api = answering('{"error":{"code":"bad_selector","message":"expected }","hint":"Close it."}}', 400);
    await expect(api.top("cpu{", { from: "now-5m", until: "now" }, "function", 10, signal)).rejects.toMatchObject({
      status: 400,
      code: "bad_selector",
      message: "expected }",
      hint: "Close it.",
      passing: false,
    });
  });

  it("copes with errors that are no JSON, broken answers and silence", async () => {
    await expect(answering("<html>", 502).profileTypes(signal)).rejects.toMatchObject({ status: 502, passing: true });
    await expect(answering("{").profileTypes(signal)).rejects.toMatchObject({ code: "broken_answer", passing: true });
    const silent = createApi(null, (() => Promise.reject(new TypeError("refused"))) as typeof fetch);
    await expect(silent.profileTypes(signal)).rejects.toMatchObject({ status: 0, code: "unreachable" });
  });

  it("writes parameters so that they cannot become others", async () => {
    let asked = "";
    const api = createApi(null, ((url: string) => {
      asked = url;
      return Promise.resolve(new Response("{}"));
    }) as typeof fetch);
    await api.flamegraph('cpu{a="b&until=0"}', { from: "now-5m", until: "now" }, { maxNodes: 0, groupBy: "service_name", root: "" }, signal);
    expect(asked).toBe("/api/v1/flamegraph?query=cpu%7Ba%3D%22b%26until%3D0%22%7D&from=now-5m&until=now&max_nodes=0&group_by=service_name");
  });

  it("asks for the data of a short link below its address, and makes links at the store's", async () => {
    const asked: string[] = [];
    const api = createApi("0abc", ((url: string) => {
      asked.push(url);
      return Promise.resolve(new Response("{}"));
    }) as typeof fetch);
    await api.search("cpu", { from: "1", until: "2" }, "x", signal);
    await api.makeLink("?a", [{ query: "cpu", from: "1", until: "2" }], signal);
    asked.push(api.exportAddress("cpu", { from: "1", until: "2" }, "", "svg"));
    expect(asked).toEqual(["/api/v1/links/0abc/search?query=cpu&from=1&until=2&q=x&mode=text&limit=1", "/api/v1/links", "/api/v1/links/0abc/flamegraph?query=cpu&from=1&until=2&format=svg"]);
  });
});

describe("linkOf", () => {
  it("finds the link in a path of the viewer", () => {
    expect(["/", "/l/", "/l/abc", "/l/abc/", "/l/a/b", "/x/l/abc"].map(linkOf)).toEqual([null, null, "abc", "abc", null, null]);
  });
});
