/** What stands in place of a short link's view while it is asked for, and where there is none. */
import type { ApiError } from "../state/index.ts";
import { Notice } from "./states.tsx";

export function LinkNotice({ error }: { error: ApiError | null }) {
  return (
    <div class="page">
      <main class="main">
        {error ? (
          <Notice kind="error" title={error.message}>
            {error.hint !== "" && (
              <p>
                <bdi>{error.hint}</bdi>
              </p>
            )}
            <p class="actions">
              <button type="button" class="primary" onClick={() => location.reload()}>
                Ask again
              </button>
              <a href="/">Live profiles</a>
            </p>
          </Notice>
        ) : (
          <Notice kind="loading" title="Opening the link…" />
        )}
      </main>
    </div>
  );
}
