//! The modules of a crate, what each declares, and what each takes from others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::{Token, product_tokens};

/// A `use`, one name at a time, or a path in the code.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The path as it stands there; for a glob without its `*`.
    pub path: Vec<String>,
    /// The name that it has here; `*` for a glob.
    pub name: String,
    /// Its line, from 1.
    pub line: usize,
    /// Whether it is a `use`.
    pub imported: bool,
    /// Whether it is passed on (`pub use`).
    pub passed_on: bool,
}

/// One file.
#[derive(Debug)]
pub struct Module {
    /// Relative to the checkout.
    pub file: PathBuf,
    /// Its name in the crate, `[]` for lib.rs.
    pub path: Vec<String>,
    /// What it declares at its top.
    declares: BTreeSet<String>,
    /// Words in the macros that it calls at its top: they may declare something.
    made: BTreeSet<String>,
    /// What it takes.
    pub takes: Vec<Taken>,
    /// Every word of it that is no part of a `use`.
    pub words: BTreeMap<String, usize>,
}

/// The files of a crate by the names of their modules.
pub struct Modules(pub BTreeMap<Vec<String>, Module>);

/// What a path leads to.
enum Found<'a> {
    Module(&'a Module),
    /// An item, declared in this module.
    Item(&'a Module),
    /// Nothing of this crate.
    Foreign,
}

impl Modules {
    /// Of the sources in these directories of the checkout. What the later ones have at their top stands at the
    /// top of the first, as if that passed all of it on.
    pub fn read(checkout: &Path, sources: &[&str]) -> Self {
        let mut files = Vec::new();
        for sources in sources {
            let mut inside = Vec::new();
            list(&checkout.join(sources), &mut inside);
            files.extend(inside.into_iter().map(|file| (*sources, file)));
        }
        let mut modules = BTreeMap::new();
        let mut tests = BTreeSet::new();
        for (sources, file) in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let relative = file.strip_prefix(checkout).unwrap().to_owned();
            let (tokens, its_tests) = product_tokens(&text);
            let module = Module::of(relative, sources, &tokens);
            tests.extend(its_tests.into_iter().map(|name| {
                let inside = module.path.iter().cloned();
                inside.chain([name]).collect::<Vec<_>>()
            }));
            if module
                .file
                .file_name()
                .is_some_and(|name| name != "main.rs")
            {
                modules.entry(module.path.clone()).or_insert(module);
            }
        }
        modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        Self(modules)
    }

    /// The module that declares what this path of a module names; `None` where that is a module, or
    /// nothing of this crate; an error where it cannot be told.
    pub fn declaring<'a>(
        &'a self,
        at: &'a Module,
        taken: &Taken,
    ) -> Result<Option<&'a Module>, String> {
        match self.resolve(at, taken, &mut BTreeSet::new()) {
            Some(Found::Item(module)) => Ok(Some(module)),
            Some(Found::Module(_) | Found::Foreign) => Ok(None),
            None => Err(format!(
                "{}:{}: {}",
                at.file.display(),
                taken.line,
                taken.path.join("::")
            )),
        }
    }

    /// What a glob brings in that the module uses: the line, and the module that declares it.
    pub fn by_glob<'a>(&'a self, at: &'a Module, taken: &Taken) -> Vec<(usize, &'a Module)> {
        let from = self.resolve(at, taken, &mut BTreeSet::new());
        let Some(Found::Module(from)) = from else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (word, line) in &at.words {
            if at.declares.contains(word) {
                continue;
            }
            let item = self.look_up(from, word, true, &mut BTreeSet::new());
            if let Some(Found::Item(module)) = item {
                found.push((*line, module));
            }
        }
        found
    }

    fn resolve<'a>(
        &'a self,
        at: &'a Module,
        taken: &Taken,
        seen: &mut BTreeSet<(Vec<String>, String)>,
    ) -> Option<Found<'a>> {
        let mut here = at;
        let mut rest = taken.path.as_slice();
        let glob = taken.name == "*";
        let mut first = true;
        while let Some((name, after)) = rest.split_first() {
            rest = after;
            here = match name.as_str() {
                "crate" => self.0.get(&Vec::new())?,
                "self" => here,
                "super" => self.0.get(&here.path[..here.path.len().checked_sub(1)?])?,
                _ => match self.look_up(here, name, rest.is_empty() && !glob, seen) {
                    Some(Found::Module(module)) => module,
                    None if first => return Some(Found::Foreign),
                    other => return other,
                },
            };
            first = false;
        }
        Some(Found::Module(here))
    }

    /// What a name means in a module. The last name of a path is rather an item, any other rather a module.
    fn look_up<'a>(
        &'a self,
        at: &'a Module,
        name: &str,
        last: bool,
        seen: &mut BTreeSet<(Vec<String>, String)>,
    ) -> Option<Found<'a>> {
        if !seen.insert((at.path.clone(), name.to_owned())) {
            return None;
        }
        let mut child = at.path.clone();
        child.push(name.to_owned());
        let module = self.0.get(&child).map(Found::Module);
        if module.is_some() && !last {
            return module;
        }
        if at.declares.contains(name) {
            return Some(Found::Item(at));
        }
        let named = at.takes.iter().filter(|t| t.imported && t.name == name);
        let globs = at.takes.iter().filter(|t| t.imported && t.name == "*");
        for taken in named {
            match self.resolve(at, taken, seen) {
                Some(Found::Foreign) | None => {}
                found => return found,
            }
        }
        for taken in globs {
            if let Some(Found::Module(from)) = self.resolve(at, taken, seen)
                && let Some(found) = self.look_up(from, name, last, seen)
            {
                return Some(found);
            }
        }
        if module.is_none() && at.made.contains(name) {
            return Some(Found::Item(at));
        }
        module
    }
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if stem == "tests" || stem.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

impl Module {
    fn of(file: PathBuf, sources: &str, tokens: &[Token]) -> Self {
        let inside = file.strip_prefix(sources).unwrap().with_extension("");
        let mut path: Vec<String> = inside
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
            path.pop();
        }
        let mut module = Self {
            file,
            path,
            declares: BTreeSet::new(),
            made: BTreeSet::new(),
            takes: Vec::new(),
            words: BTreeMap::new(),
        };
        module.read(tokens);
        module
    }

    fn read(&mut self, tokens: &[Token]) {
        const DECLARE: [&str; 8] = [
            "fn", "struct", "enum", "union", "trait", "type", "const", "static",
        ];
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let (mut at, mut depth, mut in_macro) = (0, 0_usize, false);
        while at < tokens.len() {
            let token = &tokens[at];
            match token.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => {
                    depth -= 1;
                    in_macro &= depth > 0;
                }
                "use" if text(at + 1) != "<" => {
                    let public = at > 0 && matches!(text(at - 1), "pub" | ")");
                    at = self.read_use(tokens, at + 1, public);
                    continue;
                }
                "!" if depth == 0 && at > 0 && tokens[at - 1].is_word() => in_macro = true,
                word if depth == 0 && DECLARE.contains(&word) => {
                    let name = tokens.get(at + 1).filter(|name| name.is_word());
                    let name = name.filter(|name| !DECLARE.contains(&name.text.as_str()));
                    self.declares.extend(name.map(|name| name.text.clone()));
                }
                _ => {}
            }
            if token.is_word() {
                if in_macro {
                    self.made.insert(token.text.clone());
                }
                // The name of a module that is declared here stands for nothing else.
                let begins = at == 0 || !matches!(text(at - 1), "::" | "." | "mod");
                if begins {
                    self.words.entry(token.text.clone()).or_insert(token.line);
                }
                if begins && text(at + 1) == "::" {
                    self.read_path(tokens, at);
                }
            }
            at += 1;
        }
    }

    /// A path in the code.
    fn read_path(&mut self, tokens: &[Token], from: usize) {
        let mut path = vec![tokens[from].text.clone()];
        let mut at = from;
        while tokens.get(at + 1).is_some_and(|sign| sign.text == "::")
            && tokens.get(at + 2).is_some_and(Token::is_word)
        {
            path.push(tokens[at + 2].text.clone());
            at += 2;
        }
        self.takes.push(Taken {
            path,
            name: String::new(),
            line: tokens[from].line,
            imported: false,
            passed_on: false,
        });
    }

    /// A `use` from behind its keyword; where it ends.
    fn read_use(&mut self, tokens: &[Token], from: usize, passed_on: bool) -> usize {
        let mut outer: Vec<Vec<String>> = Vec::new();
        let mut path: Vec<String> = Vec::new();
        let mut name = None;
        let mut at = from;
        loop {
            let token = &tokens[at];
            match token.text.as_str() {
                "::" => {}
                "{" => {
                    outer.push(path.clone());
                }
                end @ ("," | "}" | ";") => {
                    let base = outer.last().cloned().unwrap_or_default();
                    if path.len() > base.len() || name.is_some() {
                        if path.last().is_some_and(|last| last == "self") {
                            path.pop();
                        }
                        let called = name.take().or_else(|| path.last().cloned());
                        self.takes.push(Taken {
                            name: called.unwrap_or_default(),
                            path,
                            line: token.line,
                            imported: true,
                            passed_on,
                        });
                    }
                    path = base;
                    if end == "}" {
                        outer.pop();
                        // What the braces stood for is taken; a `,`, `}` or `;` follows.
                        path = outer.last().cloned().unwrap_or_default();
                    }
                    if end == ";" {
                        return at + 1;
                    }
                }
                "as" => {
                    at += 1;
                    name = Some(tokens[at].text.clone());
                }
                "*" => name = Some("*".to_owned()),
                word => path.push(word.to_owned()),
            }
            at += 1;
        }
    }
}
