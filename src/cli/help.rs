//! The help of `lockproof` as a whole: its commands in three groups.
//!
//! Owns which group a command is in. Each command describes itself.

use clap::Command;

/// The groups, each with its commands in the order in which they are met.
pub(super) const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Start here",
        &["reproduce", "init", "explore", "run", "doctor"],
    ),
    (
        "Look closer",
        &["check", "export", "merge", "schema", "clean"],
    ),
    ("For lockproof itself", &["completions", "groombook"]),
];

/// The command with its help in groups.
pub(super) fn grouped(command: Command) -> Command {
    let mut text = String::new();
    for (title, names) in GROUPS {
        text += &format!("{title}:\n");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            text += &format!("  {name:<11} {about}\n");
        }
        text.push('\n');
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{text}Options:\n{{options}}{{after-help}}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::GROUPS;

    #[test]
    fn every_command_that_is_shown_is_in_one_group() {
        let command = command();
        let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
        let mut shown: Vec<&str> = shown.map(clap::Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        shown.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(shown, grouped);
    }
}
