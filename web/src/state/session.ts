/**
 * One person at one page: the view, what the server answered for it, and the clock that refreshes a
 * live range. Components read `snapshot` and call methods; they never fetch. All contact with the
 * outside (history, timers, visibility) comes in through `Environment`, so that the whole of it runs
 * in tests without a browser.
 */
import { type Api, ApiError, type Flamegraph, type ProfileType, type Timeline, type Top } from "./api.ts";
import { Latest } from "./latest.ts";
import { formatSelector, parseSelector, SERVICE_LABEL, withValue } from "./selector.ts";
import { isRelative } from "./time.ts";
import { DEFAULT_VIEW, graphGroup, type View, viewFromSearch, viewToSearch } from "./view.ts";

export interface Environment {
  /** The query part of the address, with its question mark. */
  readAddress(): string;
  writeAddress(search: string, how: "push" | "replace"): void;
  onBackOrForward(listener: () => void): void;
  isHidden(): boolean;
  onVisibilityChange(listener: () => void): void;
  setTimer(run: () => void, ms: number): number;
  clearTimer(timer: number): void;
  nowMs(): number;
}

/** One answer on the page and how far it can be trusted. */
export interface Slot<T> {
  readonly answer: T | null;
  /** True while the answer shown is for an earlier question than the view asks. */
  readonly stale: boolean;
  readonly loading: boolean;
  readonly error: ApiError | null;
  readonly answeredAtMs: number;
}

export interface Snapshot {
  readonly view: View;
  readonly paused: boolean;
  readonly flamegraph: Slot<Flamegraph>;
  readonly timeline: Slot<Timeline>;
  readonly top: Slot<Top>;
  readonly services: Slot<Top>;
  readonly profileTypes: Slot<readonly ProfileType[]>;
  readonly labels: Slot<readonly string[]>;
}

type SlotName = Exclude<keyof Snapshot, "view" | "paused">;

export const LIVE_INTERVAL_MS = 5_000;
/** A server that takes long is asked less often: at most this share of the time is spent waiting for it. */
const MAX_BUSY_SHARE = 0.25;
const DEFAULT_MAX_NODES = 8192;
const TOP_LIMIT = 1000;
const SERVICES_LIMIT = 500;

const EMPTY: Slot<never> = { answer: null, stale: false, loading: false, error: null, answeredAtMs: 0 };

export class Session {
  readonly #api: Api;
  readonly #environment: Environment;
  readonly #listeners = new Set<() => void>();
  readonly #latest: Record<SlotName, Latest>;
  /** What each slot's last question was about; a change makes the answer shown stale. */
  readonly #keys = new Map<SlotName, string>();
  #snapshot: Snapshot;
  #timer: number | null = null;
  #askedAtMs = 0;

  constructor(api: Api, environment: Environment) {
    this.#api = api;
    this.#environment = environment;
    this.#latest = {
      flamegraph: new Latest(),
      timeline: new Latest(),
      top: new Latest(),
      services: new Latest(),
      profileTypes: new Latest(),
      labels: new Latest(),
    };
    this.#snapshot = {
      view: viewFromSearch(environment.readAddress()),
      paused: false,
      flamegraph: EMPTY,
      timeline: EMPTY,
      top: EMPTY,
      services: EMPTY,
      profileTypes: EMPTY,
      labels: EMPTY,
    };
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#environment.onBackOrForward(() => this.#adopt(viewFromSearch(this.#environment.readAddress())));
    this.#environment.onVisibilityChange(() => {
      if (!this.#environment.isHidden() && this.#isLive()) this.refresh();
    });
    this.#ask("profileTypes", "", (signal) => this.#api.profileTypes(signal));
    this.refresh();
  }

  /** Changes the view. `push` makes a step that the back button undoes, `replace` does not. */
  navigate(change: Partial<View>, how: "push" | "replace" = "push"): void {
    const view = regrouped(this.#snapshot.view, { ...this.#snapshot.view, ...change });
    const before = viewToSearch(this.#snapshot.view);
    const after = viewToSearch(view);
    if (before === after) return;
    this.#environment.writeAddress(after, how);
    this.#adopt(view);
  }

  /** Shows another selection: what was zoomed into may not exist there, but is kept in case it does. */
  setQuery(query: string): void {
    if (query.trim() === this.#snapshot.view.query) this.refresh();
    else this.navigate({ query: query.trim() });
  }

  setPaused(paused: boolean): void {
    if (paused === this.#snapshot.paused) return;
    this.#publish({ paused });
    if (paused) this.#stopTimer();
    else this.refresh();
  }

  /** Asks everything that the view needs anew, and goes on doing so while the range is live. */
  refresh(): void {
    this.#stopTimer();
    this.#askedAtMs = this.#environment.nowMs();
    const { view } = this.#snapshot;
    const range = { from: view.from, until: view.until };
    const key = JSON.stringify([view.query, range]);
    const maxNodes = view.allNodes ? 0 : DEFAULT_MAX_NODES;
    const graphBy = graphGroup(view);
    this.#ask("flamegraph", JSON.stringify([key, maxNodes, graphBy]), async (signal) => {
      try {
        return await this.#api.flamegraph(view.query, range, maxNodes, graphBy, signal);
      } catch (error) {
        // A fleet of more services than the server groups by: nobody asked for groups, so go without.
        const tooMany = error instanceof ApiError && error.status === 413 && view.graphBy === null && graphBy !== "";
        if (!tooMany) throw error;
        return await this.#api.flamegraph(view.query, range, maxNodes, "", signal);
      }
    });
    this.#ask("timeline", `${key}${view.groupBy}`, (signal) =>
      this.#api.timeline(view.query, range, view.groupBy, signal),
    );
    this.#ask("top", key, (signal) => this.#api.top(view.query, range, "function", TOP_LIMIT, signal));
    const anyService = withoutService(view.query);
    const servicesKey = JSON.stringify([anyService, range]);
    this.#ask("services", servicesKey, (signal) =>
      this.#api.top(anyService, range, "service", SERVICES_LIMIT, signal),
    );
    if (this.#keys.get("labels") !== servicesKey) {
      this.#ask("labels", servicesKey, (signal) => this.#api.labels("", range, signal));
    }
  }

  #isLive(): boolean {
    return !this.#snapshot.paused && isRelative(this.#snapshot.view);
  }

  /** Takes over a view; asks the server only if the view needs other data. */
  #adopt(view: View): void {
    const old = this.#snapshot.view;
    this.#publish({ view });
    const sameData =
      old.query === view.query &&
      old.from === view.from &&
      old.until === view.until &&
      old.allNodes === view.allNodes &&
      old.groupBy === view.groupBy &&
      graphGroup(old) === graphGroup(view);
    if (!sameData) this.refresh();
  }

  #ask<N extends SlotName>(
    name: N,
    key: string,
    question: (signal: AbortSignal) => Promise<NonNullable<Snapshot[N]["answer"]>>,
  ): void {
    const isNew = this.#keys.get(name) !== key;
    this.#keys.set(name, key);
    const shown = this.#snapshot[name];
    const stale = shown.stale || (isNew && shown.answer !== null);
    this.#publishSlot(name, { ...shown, stale, loading: true, error: isNew ? null : shown.error });
    this.#latest[name].ask(question, (outcome) => {
      const before = this.#snapshot[name];
      const slot = outcome.ok
        ? { answer: outcome.value, stale: false, loading: false, error: null, answeredAtMs: this.#environment.nowMs() }
        : { ...before, loading: false, error: asApiError(outcome.error) };
      this.#publishSlot(name, slot as Snapshot[N]);
      this.#scheduleNext();
    });
  }

  /** The next refresh begins when all answers of this one are there, so that slow answers never pile up. */
  #scheduleNext(): void {
    const busy = Object.values(this.#latest).some((latest) => latest.busy);
    if (busy || !this.#isLive() || this.#environment.isHidden()) return;
    // A question that is wrong does not become right by being asked again.
    if (this.#snapshot.flamegraph.error?.passing === false) return;
    this.#stopTimer();
    const tookMs = this.#environment.nowMs() - this.#askedAtMs;
    const waitMs = Math.max(LIVE_INTERVAL_MS - tookMs, tookMs / MAX_BUSY_SHARE - tookMs, 1_000);
    this.#timer = this.#environment.setTimer(() => this.refresh(), waitMs);
  }

  #stopTimer(): void {
    if (this.#timer !== null) this.#environment.clearTimer(this.#timer);
    this.#timer = null;
  }

  #publishSlot<N extends SlotName>(name: N, slot: Slot<unknown>): void {
    this.#publish({ [name]: slot } as Partial<Snapshot>);
  }

  #publish(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** A zoom begins with the box of a label while the graph is grouped, and with a function while it is not. */
function regrouped(old: View, view: View): View {
  const [before, after] = [graphGroup(old), graphGroup(view)];
  if (before === after || view.zoom !== old.zoom) return view;
  return { ...view, zoom: after === "" ? view.zoom.slice(1) : [] };
}

/** The selection without its matchers on the service: what the service menu offers. */
export function withoutService(query: string): string {
  const selector = parseSelector(query);
  return selector ? formatSelector(withValue(selector, SERVICE_LABEL, null)) : DEFAULT_VIEW.query;
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, "unexpected", error instanceof Error ? error.message : String(error));
}
