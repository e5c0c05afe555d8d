//! What a command found, a case at a time, as machines around it take it: JUnit for test reports, Markdown for
//! summaries, lines that GitHub shows beside the code.
//!
//! Owns these three forms. Judges nothing.

mod markdown;

use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::every::EveryJson;
use super::explore::{ExploreJson, FoundJson, count};
use super::json::{ReproduceJson, ScenarioJson};
use super::survey::SurveyJson;
use crate::scenario::Scenario;

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseResult {
    /// It is as expected.
    Passed,
    /// It is not.
    Failed,
    /// It could not be judged.
    Unclear,
}

/// One scenario, or one finding of a search.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// What became of it.
    pub result: CaseResult,
    /// Why, in a sentence; empty where it passed.
    pub message: String,
    /// What is known of it, as a person sees it.
    pub text: String,
    /// How long it took.
    pub took: Duration,
    /// The command that shows it again.
    pub replay: Option<String>,
    /// Its file, and the line of it that matters, from 1.
    pub place: Option<(PathBuf, usize)>,
    /// Its page, where one is made.
    pub page: Option<PathBuf>,
}

/// The cases of one command.
#[derive(Debug, Clone)]
pub struct Cases {
    /// What was run, in a few words.
    pub title: String,
    /// What it means, in a sentence.
    pub means: String,
    /// Each case.
    pub all: Vec<Case>,
    /// The page of all of them, where one is made.
    pub report: Option<PathBuf>,
}

impl Case {
    /// A scenario that was run; `text` is what was printed of it, `line` the one that matters.
    #[must_use]
    pub fn of_scenario(scenario: &ScenarioJson, text: &str, line: usize) -> Self {
        let result = match (scenario.as_expected, scenario.verdict) {
            (true, _) => CaseResult::Passed,
            (false, None | Some(crate::invariant::Judgement::Inconclusive)) => CaseResult::Unclear,
            (false, _) => CaseResult::Failed,
        };
        Self {
            name: scenario.title.clone(),
            result,
            message: match result {
                CaseResult::Passed => String::new(),
                _ => scenario.reasons.join("; "),
            },
            text: text.to_owned(),
            took: Duration::from_millis(scenario.elapsed_ms),
            replay: Some(scenario.replay.clone()),
            place: Some((scenario.file.clone(), line)),
            page: None,
        }
    }
}

impl Case {
    /// A scenario that was not run, because the command stopped before it.
    #[must_use]
    pub fn not_run(file: &Path, scenario: &Scenario, why: &str) -> Self {
        Self {
            name: scenario.title.clone(),
            result: CaseResult::Unclear,
            message: format!("not run: {why}"),
            text: String::new(),
            took: Duration::ZERO,
            replay: Some(format!("lockproof run {}", file.display())),
            place: Some((file.to_owned(), 1)),
            page: None,
        }
    }
}

impl Case {
    /// A failure that is kept in this file; what it is called and what it says is still to be filled in.
    fn found(file: Option<&PathBuf>) -> Self {
        Self {
            name: String::new(),
            result: CaseResult::Failed,
            message: String::new(),
            text: String::new(),
            took: Duration::ZERO,
            replay: file.map(|file| format!("lockproof run {}", file.display())),
            place: file.map(|file| (file.clone(), 1)),
            page: None,
        }
    }

    /// A search as a whole.
    fn whole(name: String, result: CaseResult, figures: &str, took: Duration) -> Self {
        Self {
            name,
            result,
            message: match result {
                CaseResult::Passed => String::new(),
                _ => figures.to_owned(),
            },
            text: figures.to_owned(),
            took,
            replay: None,
            place: None,
            page: None,
        }
    }
}

/// Which schedule failed, and what its failure is called.
fn found_text(found: &FoundJson) -> String {
    let text = format!("schedule {}: {}", found.at, found.why);
    match found.anomaly {
        Some(anomaly) => format!("{text}\nanomaly: {anomaly}"),
        None => text,
    }
}

/// What a search as a whole came to; `cut`: it was not gone through, and says nothing of the rest.
fn whole(failed: u64, unclear: u64, cut: bool) -> CaseResult {
    match (failed, unclear) {
        (0, 0) if !cut => CaseResult::Passed,
        (0, _) => CaseResult::Unclear,
        _ => CaseResult::Failed,
    }
}

impl Cases {
    /// What a search found; where it found nothing, that.
    #[must_use]
    pub fn of_search(found: &ExploreJson) -> Self {
        let took = Duration::from_millis(found.elapsed_ms);
        let mut all: Vec<Case> = found
            .found
            .iter()
            .map(|one| Case {
                name: one.failure.to_string(),
                message: one.what.clone(),
                text: found_text(one),
                ..Case::found(one.schedule_file.as_ref())
            })
            .collect();
        let unclear = found.inconclusive + found.unconfirmed;
        // One that was not gone through says nothing of the rest.
        let cut = found.interrupted || found.broken_off.is_some();
        let whole = match &found.unexpected {
            // It was said what is to be found, and that is what the search is for.
            Some(reasons) if reasons.is_empty() && !cut => {
                all.iter_mut()
                    .for_each(|case| case.result = CaseResult::Passed);
                CaseResult::Passed
            }
            Some(reasons) if !reasons.is_empty() => CaseResult::Failed,
            _ => whole(found.violations, unclear, cut || found.schedules == 0),
        };
        all.push(Case {
            name: format!("{} of {}", found.strategy, found.subject),
            result: whole,
            message: match whole {
                CaseResult::Passed => String::new(),
                _ => format!(
                    "{}: {} failed, {unclear} unclear{}{}",
                    count(found.schedules, "schedule"),
                    found.violations,
                    match found.unexpected.as_deref() {
                        None | Some([]) => String::new(),
                        Some(reasons) => format!("; {}", reasons.join("; ")),
                    },
                    match (&found.broken_off, found.interrupted) {
                        (Some(why), _) => format!(", broken off: {why}"),
                        (None, true) => ", interrupted".to_owned(),
                        (None, false) => String::new(),
                    }
                ),
            },
            text: found.claim.clone(),
            took,
            replay: None,
            place: None,
            page: None,
        });
        Self {
            title: format!("lockproof explore: {}", found.subject),
            means: found.claim.clone(),
            all,
            report: None,
        }
    }

    /// What a survey came to: a case for each group of violated schedules that are alike, and one for each job.
    #[must_use]
    pub fn of_survey(found: &SurveyJson) -> Self {
        let mut all = Vec::new();
        for swept in &found.subjects {
            all.extend(swept.groups.iter().map(|group| {
                let names: Vec<String> = group.invariants.iter().map(ToString::to_string).collect();
                Case {
                    name: format!(
                        "{}: {}: {} at {}, {}",
                        swept.name,
                        names.join(", "),
                        group.fault,
                        group.at,
                        group.way
                    ),
                    message: format!("{}: {}", count(group.times, "schedule"), group.what),
                    text: group.schedule.join("\n"),
                    ..Case::found(group.schedule_file.as_ref())
                }
            }));
            let cut = found.interrupted || swept.run < swept.schedules;
            let result = whole(swept.violated, swept.inconclusive, cut || swept.fired == 0);
            all.push(Case::whole(
                format!("survey of {}", swept.name),
                result,
                &swept.claim,
                Duration::from_millis(swept.elapsed_ms),
            ));
        }
        let claims: Vec<&str> = found
            .subjects
            .iter()
            .map(|one| one.claim.as_str())
            .collect();
        Self {
            title: "lockproof explore --strategy sweep --survey".to_owned(),
            means: claims.join("; "),
            all,
            report: None,
        }
    }

    /// What every strategy found: a case for each failure, and one for each job and strategy.
    #[must_use]
    pub fn of_every(found: &EveryJson) -> Self {
        let mut all = Vec::new();
        for subject in &found.subjects {
            for one in &subject.searches {
                let name = format!("{} with {}", subject.name, one.strategy);
                all.extend(one.found.iter().map(|failure| Case {
                    name: format!("{name}: {}", failure.failure),
                    message: failure.what.clone(),
                    text: found_text(failure),
                    ..Case::found(failure.schedule_file.as_ref())
                }));
                let figures = match &one.nothing {
                    Some(why) => format!("nothing to run: {why}"),
                    None => format!(
                        "{}: {} failed, {} unclear",
                        count(one.schedules, "schedule"),
                        one.violations,
                        one.inconclusive
                    ),
                };
                let result = whole(one.violations, one.inconclusive, found.interrupted);
                let took = Duration::from_millis(one.elapsed_ms);
                all.push(Case::whole(name, result, &figures, took));
            }
        }
        Self {
            title: "lockproof explore --strategy every".to_owned(),
            means: found.claim.clone(),
            all,
            report: None,
        }
    }

    /// A schedule that was replayed.
    #[must_use]
    pub fn of_replays(document: &ReproduceJson, name: &str) -> Self {
        let result = match document.reproduced {
            true => CaseResult::Passed,
            false => CaseResult::Failed,
        };
        let figure = format!(
            "the exact error {} of {}, the same trace {} of {}",
            document.hits, document.attempts, document.trace_hash_same, document.attempts
        );
        let case = Case {
            name: name.to_owned(),
            result,
            message: match result {
                CaseResult::Passed => String::new(),
                _ => figure.clone(),
            },
            text: format!("{}\n{figure}", document.turns.join("\n")),
            took: Duration::from_millis(document.elapsed_ms),
            replay: Some(format!(
                "lockproof run --times 10 {}",
                document.artifacts.join("scenario.toml").display()
            )),
            place: None,
            page: None,
        };
        Self {
            title: "lockproof reproduce".to_owned(),
            means: figure,
            all: vec![case],
            report: None,
        }
    }

    /// As a JUnit report.
    ///
    /// # Errors
    /// When a text cannot be written as XML.
    pub fn junit(&self) -> Result<String, String> {
        let mut report = Report::new("lockproof");
        let mut suite = TestSuite::new(self.title.as_str());
        for case in &self.all {
            let status = match case.result {
                CaseResult::Passed => TestCaseStatus::success(),
                CaseResult::Failed => failed(case, NonSuccessKind::Failure, "violated"),
                CaseResult::Unclear => failed(case, NonSuccessKind::Error, "inconclusive"),
            };
            let mut test = TestCase::new(case.name.as_str(), status);
            test.set_time(case.took);
            if let Some((file, line)) = &case.place {
                test.set_classname(file.display().to_string());
                test.extra
                    .insert("file".into(), file.display().to_string().into());
                test.extra.insert("line".into(), line.to_string().into());
            } else {
                test.set_classname("lockproof");
            }
            if let Some(page) = &case.page {
                test.set_system_out(attached(page));
            }
            suite.add_test_case(test);
        }
        if let Some(page) = &self.report {
            suite.set_system_out(attached(page));
        }
        report.add_test_suite(suite);
        report.to_string().map_err(|error| error.to_string())
    }

    /// As the lines that GitHub Actions takes for remarks on a file; `from` is the root of the checkout.
    #[must_use]
    pub fn remarks(&self, from: &Path) -> Vec<String> {
        let worth = self
            .all
            .iter()
            .filter(|case| case.result != CaseResult::Passed);
        worth
            .map(|case| {
                let mut keys = String::new();
                if let Some((file, line)) = &case.place {
                    let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                    let file = file.strip_prefix(from).unwrap_or(&file);
                    let file = property(&file.display().to_string());
                    keys = format!("file={file},line={line},");
                }
                let kind = match case.result {
                    CaseResult::Unclear => "warning",
                    _ => "error",
                };
                let again = case.replay.as_ref();
                let again =
                    again.map_or_else(String::new, |replay| format!("\nagain with: {replay}"));
                format!(
                    "::{kind} {keys}title={}::{}",
                    property(&case.name),
                    data(&format!("{}{again}", case.message))
                )
            })
            .collect()
    }
}

/// A page as what shows JUnit reports links to it: GitLab, and the attachments plugin of Jenkins.
fn attached(page: &Path) -> String {
    let page = page.display();
    format!("page: {page}\n[[ATTACHMENT|{page}]]")
}

fn failed(case: &Case, kind: NonSuccessKind, word: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    let again = case.replay.as_ref();
    let again = again.map_or_else(String::new, |replay| format!("\nagain with: {replay}"));
    status
        .set_type(word)
        .set_message(case.message.as_str())
        .set_description(format!("{}{again}", case.text));
    status
}

/// What stands behind `::` of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a key of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Cases {
        let case = |name: &str, result, message: &str| Case {
            name: name.to_owned(),
            result,
            message: message.to_owned(),
            text: "  violated  ``` <x> & \u{1b}".to_owned(),
            took: Duration::from_millis(1500),
            replay: Some("lockproof run a.toml".to_owned()),
            place: Some((PathBuf::from("/r/a b.toml"), 7)),
            page: (name == "a: b, 100% | c").then(|| PathBuf::from("out/b/report.html")),
        };
        Cases {
            title: "lockproof run".to_owned(),
            means: "1 of 3".to_owned(),
            all: vec![
                case("holds", CaseResult::Passed, ""),
                case("a: b, 100% | c", CaseResult::Failed, "one\ntwo"),
                case("unknown", CaseResult::Unclear, "why"),
            ],
            report: Some(PathBuf::from("out/all.html")),
        }
    }

    #[test]
    fn a_junit_report_counts_failures_and_errors_apart() {
        let text = cases().junit().unwrap();
        assert!(text.contains("failures=\"1\" errors=\"1\""), "{text}");
        assert!(text.contains("line=\"7\""), "{text}");
        assert!(text.contains("&lt;x&gt; &amp;"), "{text}");
        assert!(!text.contains('\u{1b}'), "XML cannot hold it: {text:?}");
        for page in ["out/b/report.html", "out/all.html"] {
            let attached = format!("[[ATTACHMENT|{page}]]");
            assert_eq!(text.matches(&attached).count(), 1, "{text}");
        }
    }

    #[test]
    fn a_page_has_a_row_for_each_case_and_a_part_for_each_that_did_not_pass() {
        let page = cases().markdown(|page| Some(format!("../{}", page.display())));
        let row = "| ✗ | [a: b, 100% \\| c](../out/b/report.html) | 1.5 s |";
        assert!(page.contains(row), "{page}");
        let all = "[All of it on one page](../out/all.html)";
        assert!(page.contains(all), "{page}");
        let without = cases().markdown(|_| None);
        let path = "The run as a page: `out/b/report.html`";
        assert!(
            without.contains(path) && !without.contains("]("),
            "{without}"
        );
        assert_eq!(page.matches("\n### ").count(), 2, "{page}");
        assert!(page.contains("\n````text\n"), "{page}");
    }

    #[test]
    fn remarks_point_into_the_file_and_hold_nothing_that_would_end_them() {
        let remarks = cases().remarks(Path::new("/r"));
        assert_eq!(
            remarks,
            [
                "::error file=a b.toml,line=7,title=a%3A b%2C 100%25 | c::one%0Atwo%0Aagain with: lockproof run a.toml",
                "::warning file=a b.toml,line=7,title=unknown::why%0Aagain with: lockproof run a.toml",
            ]
        );
    }
}
