//! `stoker query`: anything that a server answers, as a table for people or as JSON for programs.

mod print;

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::client::ServerArgs;
use crate::failure::Failure;
use crate::source::{Source, merged_range};
use crate::table::Style;

/// What `stoker query` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct QueryArgs {
    /// A selector such as 'cpu{service_name="api"}', with an optional range behind @; or at once what
    /// to show, of everything
    #[arg(value_name = "SELECTOR")]
    first: Option<String>,
    /// What to show
    what: Option<What>,
    /// Start of the range: now-15m, RFC 3339, or Unix seconds [default: now-15m]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End of the range [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    /// top: what the rows are
    #[arg(long, default_value = "function")]
    by: By,
    /// top, timeline: rows or groups; 0 shows all
    #[arg(short = 'n', long, default_value_t = 30)]
    limit: usize,
    /// flamegraph: boxes; 0 shows all
    #[arg(long, default_value_t = 60)]
    max_nodes: usize,
    /// timeline: length of a step, such as 30s
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
    /// timeline: one group for each value of this label
    #[arg(long, value_name = "LABEL")]
    group_by: Option<String>,
    /// values: of which label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

const EXAMPLES: &str = "Examples:
  stoker query cpu                                          the hottest functions
  stoker query 'cpu{service_name=\"api\"}' top --by module
  stoker query 'cpu{host=~\"web-.*\"}@now-2h..now-1h' flamegraph
  stoker query cpu timeline --group-by service_name --from now-1h
  stoker query labels
  stoker query cpu values --label service_name
  stoker query agents --json";

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The hottest functions, modules or services
    Top,
    /// The call tree
    Flamegraph,
    /// The value of each step
    Timeline,
    /// Names of labels
    Labels,
    /// Values of the label given with --label
    Values,
    /// Label sets
    Series,
    /// Profile types
    ProfileTypes,
    /// Who sends
    Agents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Function,
    Module,
    Service,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Module => "module",
            Self::Service => "service",
        }
    }
}

/// Runs the command.
pub async fn run(args: QueryArgs) -> Result<(), Failure> {
    let (source, what) = args.asked()?;
    let parameters = args.parameters(source.as_ref(), what)?;
    let label = args.label.as_deref().unwrap_or_default();
    if what == What::Values && label.is_empty() {
        let hint = "add --label service_name; `stoker query labels` lists them";
        return Err(Failure::new("values of which label?", hint));
    }
    let endpoint: &[&str] = match what {
        What::Top => &["top"],
        What::Flamegraph => &["flamegraph"],
        What::Timeline => &["timeline"],
        What::Labels => &["labels"],
        What::Values => &["labels", label, "values"],
        What::Series => &["series"],
        What::ProfileTypes => &["profile-types"],
        What::Agents => &["agents"],
    };
    let answer: Value = args.server.open()?.json(endpoint, &parameters).await?;
    let text = if args.json { format!("{answer}\n") } else { shown(what, &answer)? };
    io::stdout().write_all(text.as_bytes()).map_err(Failure::from_output)
}

fn shown(what: What, answer: &Value) -> Result<String, Failure> {
    let style = Style::of_stdout();
    let text = match what {
        What::Top => print::top(answer, style),
        What::Flamegraph => print::flamegraph(answer, style),
        What::Timeline => print::timeline(answer, style),
        What::Labels => print::list(answer, "labels"),
        What::Values => print::list(answer, "values"),
        What::Series => print::series(answer, style),
        What::ProfileTypes => print::profile_types(answer, style),
        What::Agents => print::agents(answer, style),
    };
    text.map_err(|error| {
        let message = format!("the server's answer is not as this version knows it: {error}");
        Failure::new(message, "add --json to see it")
    })
}

impl QueryArgs {
    /// The source and what to show of it. A first word that says what to show is no selector: no
    /// profile type has such a name.
    fn asked(&self) -> Result<(Option<Source>, What), Failure> {
        let Some(first) = &self.first else {
            return Ok((None, self.what.unwrap_or(What::Top)));
        };
        if self.what.is_none()
            && let Ok(what) = What::from_str(first, false)
        {
            return Ok((None, what));
        }
        let source = first.parse::<Source>();
        let source = source.map_err(|error| Failure::from_text(&error.to_string()))?;
        Ok((Some(source), self.what.unwrap_or(What::Top)))
    }

    fn parameters(
        &self,
        source: Option<&Source>,
        what: What,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        if what == What::Agents {
            return match source {
                None => Ok(Vec::new()),
                Some(_) => {
                    Err(Failure::new("agents are not selected", "write `stoker query agents`"))
                }
            };
        }
        let needs_type = matches!(what, What::Top | What::Flamegraph | What::Timeline);
        let everything = if needs_type { "cpu" } else { "{}" };
        let fallback = || everything.parse::<Source>();
        let source = source.cloned().map_or_else(fallback, Ok);
        let source = source.map_err(|error| Failure::from_text(&error.to_string()))?;
        let mut parameters = vec![("query", source.selector.to_string())];
        parameters.extend(merged_range(&source, self.from.as_deref(), self.until.as_deref())?);
        match what {
            What::Top => {
                parameters.push(("by", self.by.as_str().to_owned()));
                parameters.push(("limit", self.limit.to_string()));
            }
            What::Flamegraph => parameters.push(("max_nodes", self.max_nodes.to_string())),
            What::Timeline => {
                parameters.push(("limit", self.limit.to_string()));
                let optional = [("step", &self.step), ("group_by", &self.group_by)];
                for (name, value) in optional {
                    parameters.extend(value.clone().map(|value| (name, value)));
                }
            }
            _ => {}
        }
        Ok(parameters)
    }
}
