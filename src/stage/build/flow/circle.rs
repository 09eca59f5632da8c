//! Nodes that wait for each other.

use std::collections::{BTreeMap, BTreeSet};

/// The nodes of a circle in order, `a -> b -> a`. Takes time in proportion to the graph: a stranger wrote it.
pub(super) fn circle(waits_for: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut open: BTreeMap<&str, usize> = waits_for.iter().map(|(name, on)| (*name, on.len())).collect();
    let mut awaited_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, on) in waits_for {
        on.iter().for_each(|on| awaited_by.entry(on).or_default().push(name));
    }
    // Take away what waits for nothing until nothing of that kind is left: the rest is in, or behind, a circle.
    let mut free: Vec<&str> = open.iter().filter(|(_, on)| **on == 0).map(|(name, _)| *name).collect();
    while let Some(name) = free.pop() {
        open.remove(name);
        for waiting in awaited_by.get(name).into_iter().flatten() {
            let on = open.get_mut(waiting)?;
            *on -= 1;
            if *on == 0 {
                free.push(waiting);
            }
        }
    }
    let mut at = *open.keys().next()?;
    let (mut path, mut seen) = (Vec::new(), BTreeSet::new());
    while seen.insert(at) {
        path.push(at);
        at = waits_for.get(at)?.iter().find(|on| open.contains_key(*on)).copied()?;
    }
    let begins = path.iter().position(|name| *name == at)?;
    path.push(at);
    Some(path[begins..].join(" -> "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_graph_costs_little() {
        let names: Vec<String> = (0..20_000).map(|n| format!("{n:05}")).collect();
        let waits = |n: usize| names.get(n + 1).map(String::as_str).into_iter().collect();
        let chain: BTreeMap<&str, BTreeSet<&str>> =
            names.iter().enumerate().map(|(n, name)| (name.as_str(), waits(n))).collect();
        assert_eq!(circle(&chain), None);
    }

    proptest! {
        /// A graph in which everything waits for what comes before it has no circle; one edge back makes one.
        #[test]
        fn a_circle_is_one(edges in prop::collection::vec((0usize..12, 0usize..12), 0..30), back in 0usize..12) {
            let names: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
            let mut graph: BTreeMap<&str, BTreeSet<&str>> = names.iter().map(|name| (name.as_str(), BTreeSet::new())).collect();
            for (a, b) in edges {
                if a != b {
                    graph.entry(&names[a.max(b)]).or_default().insert(&names[a.min(b)]);
                }
            }
            prop_assert_eq!(circle(&graph), None);
            graph.entry(&names[back]).or_default().insert("n11");
            graph.entry("n11").or_default().insert(&names[back]);
            let found = circle(&graph).expect("a circle");
            let path: Vec<&str> = found.split(" -> ").collect();
            prop_assert_eq!(path.first(), path.last());
            prop_assert!(path.windows(2).all(|step| graph[step[0]].contains(step[1])), "{}", found);
        }
    }
}
