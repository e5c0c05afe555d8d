//! The catalogue does not contradict itself, and a fault is described as it always was.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

#[test]
fn every_fault_has_a_name_of_its_own_and_a_line_of_docs() {
    let names: BTreeSet<&str> = FaultKind::NAMES.iter().copied().collect();
    assert_eq!(names.len(), FaultKind::CATALOGUE.len());
    for (entry, name) in FaultKind::CATALOGUE.iter().zip(FaultKind::NAMES) {
        assert_eq!(entry.name, *name);
        assert_eq!(
            FaultEntry::of_name(name).map(|one| one.name),
            Some(entry.name)
        );
        assert!(entry.doc.len() > 10 && !entry.doc.ends_with('.'), "{name}");
    }
    assert!(FaultEntry::of_name("freeze").is_none());
}

#[test]
fn what_undoes_a_fault_is_a_fault_of_the_same_target_that_undoes() {
    let mut undoing = BTreeSet::new();
    for entry in FaultKind::CATALOGUE {
        if let Undo::Needed(name) | Undo::Possible(name) = entry.undo {
            let undo = FaultEntry::of_name(name).unwrap();
            assert_eq!(
                (undo.undo, undo.target, undo.points),
                (Undo::Undoes, entry.target, Points::Between),
                "{}",
                entry.name
            );
            undoing.insert(name);
        }
    }
    for entry in FaultKind::CATALOGUE {
        let undoes = entry.undo == Undo::Undoes;
        assert_eq!(undoes, undoing.contains(entry.name), "{}", entry.name);
        assert_eq!(undoes, entry.consequence == Consequence::Restores);
    }
}

#[test]
fn a_fault_is_made_of_its_parameters_and_tells_them_again() {
    for entry in FaultKind::CATALOGUE {
        let given: Vec<_> = entry
            .parameters
            .iter()
            .map(|parameter| {
                let value = match (&parameter.left_out, parameter.shape) {
                    (LeftOut::Is(value), _) => value.clone(),
                    (_, Shape::Duration) => ParameterValue::Duration(Duration::from_millis(7)),
                    (_, Shape::Flag) => ParameterValue::Flag(true),
                    (_, Shape::Positive { .. }) => ParameterValue::Number(7),
                    (_, Shape::Word { words, .. }) => ParameterValue::Word(words[0]),
                    (_, Shape::Sqlstate) => ParameterValue::Sqlstate("40001".to_owned()),
                };
                (parameter.key, value)
            })
            .collect();
        let kind = (entry.make)(&given).unwrap();
        assert_eq!(kind.name(), entry.name);
        let values: Vec<_> = given.into_iter().map(|(_, value)| value).collect();
        assert_eq!(kind.parameters(), values);
        let missing = (entry.make)(&[]);
        assert_eq!(missing.is_some(), entry.parameters.is_empty());
    }
}

#[test]
fn a_key_that_several_faults_have_means_the_same_in_each() {
    let parameters = || FaultKind::CATALOGUE.iter().flat_map(|one| one.parameters);
    for one in parameters() {
        assert!(
            parameters().all(|other| one.key != other.key || one.shape == other.shape),
            "{}",
            one.key
        );
    }
}

#[test]
fn what_a_search_does_is_possible() {
    for entry in FaultKind::CATALOGUE {
        let search = &entry.search;
        let by_name = search.by_name.iter().map(|one| &one.draw);
        for draw in search.swept.iter().chain(search.random).chain(by_name) {
            assert_eq!((draw.kind)().name(), entry.name);
            assert!(!draw.points.is_empty());
            let possible = entry.points.all();
            assert!(draw.points.iter().all(|point| possible.contains(point)));
            assert_eq!(entry.server, ServerNeed::Shared, "{}", entry.name);
        }
    }
}
