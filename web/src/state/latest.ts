/**
 * Protection against answers that come late or out of order. Each slot of the page has one `Latest`:
 * starting a new question aborts the one before, and should its answer arrive nevertheless it is
 * dropped. `onSettled` is therefore called at most once per question and never for an old one.
 */

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

export class Latest {
  #turn = 0;
  #controller: AbortController | null = null;

  /** True while an answer is awaited. */
  get busy(): boolean {
    return this.#controller !== null;
  }

  ask<T>(question: (signal: AbortSignal) => Promise<T>, onSettled: (outcome: Outcome<T>) => void): void {
    this.cancel();
    const turn = ++this.#turn;
    const controller = new AbortController();
    this.#controller = controller;
    const settle = (outcome: Outcome<T>) => {
      if (turn !== this.#turn || controller.signal.aborted) return;
      this.#controller = null;
      onSettled(outcome);
    };
    question(controller.signal).then(
      (value) => settle({ ok: true, value }),
      (error: unknown) => settle({ ok: false, error }),
    );
  }

  cancel(): void {
    this.#controller?.abort();
    this.#controller = null;
    this.#turn++;
  }
}
