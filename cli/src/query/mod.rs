//! `stoker query`: anything that a server answers, of a selector or of files, as a table for people or
//! as JSON for programs.

pub mod cost;
pub mod print;

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde_json::Value;
use stoker_server::query::{TimelineOptions, time};

use crate::client::ServerArgs;
use crate::failure::Failure;
use crate::files::Question;
use crate::source::{Selection, Source};
use crate::table::Style;
use crate::top::{By, RangeArgs};

/// Ask a server, or files: top tables, flame graphs, timelines, labels, series
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct QueryArgs {
    /// A selector such as 'cpu{service_name="api"}', with an optional range behind @; a file or a glob
    /// in quotes; or at once what to show, of everything
    #[arg(value_name = "SOURCE")]
    first: Option<String>,
    /// What to show
    what: Option<What>,
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
    /// timeline, flamegraph: one group for each value of this label
    #[arg(long, value_name = "LABEL")]
    group_by: Option<String>,
    /// values: of which label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
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
  stoker query 'profiles/*.pb.gz' flamegraph                files instead of a server
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

/// Runs the command.
pub async fn run(args: QueryArgs) -> Result<(), Failure> {
    let (source, what) = args.asked()?;
    if what == What::Values && args.label.is_none() {
        let hint = "add --label service_name; `stoker query labels` lists them";
        return Err(Failure::new("values of which label?", hint));
    }
    let answer = match source {
        Some(Source::Files(paths)) => {
            let question = args.question(what)?;
            args.range.load(&paths)?.answer(question)?
        }
        Some(Source::Selection(selection)) => args.ask_server(Some(&selection), what).await?,
        None => args.ask_server(None, what).await?,
    };
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
    text.map_err(|error| print::unknown(&error))
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
        Ok((Some(Source::read(&[first])?), self.what.unwrap_or(What::Top)))
    }

    /// What files are asked.
    fn question(&self, what: What) -> Result<Question, Failure> {
        Ok(match what {
            What::Top => Question::Top(self.by.table(), self.limit),
            What::Flamegraph => Question::Flamegraph(self.max_nodes, self.group_by.clone()),
            What::Timeline => Question::Timeline(self.timeline()?),
            What::Labels => Question::Labels,
            What::Values => Question::Values(self.label.clone().unwrap_or_default()),
            What::Series => Question::Series,
            What::ProfileTypes => Question::ProfileTypes,
            What::Agents => {
                return Err(Failure::new("files have no agents", "write `stoker query agents`"));
            }
        })
    }

    fn timeline(&self) -> Result<TimelineOptions, Failure> {
        let step = self.step.as_deref().map(time::duration).transpose();
        Ok(TimelineOptions {
            step: step.map_err(|error| Failure::new(error.message, error.hint))?,
            group_by: self.group_by.as_deref().map(Into::into),
            max_groups: self.limit,
        })
    }

    async fn ask_server(
        &self,
        selection: Option<&Selection>,
        what: What,
    ) -> Result<Value, Failure> {
        let parameters = self.parameters(selection, what)?;
        let label = self.label.as_deref().unwrap_or_default();
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
        self.server.open()?.json(endpoint, &parameters).await
    }

    fn parameters(
        &self,
        selection: Option<&Selection>,
        what: What,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        if what == What::Agents {
            return match selection {
                None => Ok(Vec::new()),
                Some(_) => {
                    Err(Failure::new("agents are not selected", "write `stoker query agents`"))
                }
            };
        }
        let needs_type = matches!(what, What::Top | What::Flamegraph | What::Timeline);
        let everything = if needs_type { "cpu" } else { "{}" };
        let selection = selection.cloned().map_or_else(|| Selection::read(everything), Ok)?;
        let mut parameters = vec![("query", selection.selector.to_string())];
        parameters.extend(self.range.parameters(&selection)?);
        let group_by = self.group_by.clone().map(|value| ("group_by", value));
        match what {
            What::Top => {
                parameters.push(("by", self.by.as_str().to_owned()));
                parameters.push(("limit", self.limit.to_string()));
            }
            What::Flamegraph => {
                parameters.push(("max_nodes", self.max_nodes.to_string()));
                parameters.extend(group_by);
            }
            What::Timeline => {
                parameters.push(("limit", self.limit.to_string()));
                parameters.extend(self.step.clone().map(|value| ("step", value)));
                parameters.extend(group_by);
            }
            _ => {}
        }
        Ok(parameters)
    }
}
