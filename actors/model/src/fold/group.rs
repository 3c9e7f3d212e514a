//! Which copies are one object.

use crate::ids::ClusterName;
use crate::managed::Mark;

/// A copy of a managed object, with what its marks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked<T> {
    /// The member that has the copy.
    pub member: ClusterName,
    /// The copy's mark.
    pub mark: Mark,
    /// The copy's uid.
    pub uid: String,
    /// The copy itself.
    pub copy: T,
}

/// Copies of one namespace and name, sorted by the object that they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups<T> {
    /// One group for each object, never empty: the highest epoch first, then members' order.
    pub folds: Vec<Vec<Marked<T>>>,
    /// Copies that belong to no object: they are shown as what they are, objects of their member.
    pub strays: Vec<Marked<T>>,
}

/// A home and the uid of its copy.
type Identity = (ClusterName, String);

/// Sorts the copies of one namespace and name; each member has at most one.
///
/// A copy belongs to a home's object if it is home's own, or if its home-uid is the uid of home's
/// copy. Where home did not answer, copies of one home and one home-uid belong together. Whoever
/// can label an object in one cluster can therefore not make it part of another's, nor hide it.
pub fn group<T>(copies: Vec<Marked<T>>, answered: impl Fn(&ClusterName) -> bool) -> Groups<T> {
    let truths: Vec<Identity> = copies
        .iter()
        .filter(|copy| copy.member == copy.mark.home)
        .map(|copy| (copy.member.clone(), copy.uid.clone()))
        .collect();
    let identity = |copy: &Marked<T>| -> Option<Identity> {
        let home = &copy.mark.home;
        let own = (copy.member == *home).then(|| copy.uid.clone());
        let uid = own.or_else(|| copy.mark.home_uid.clone())?;
        match truths.iter().find(|(member, _)| member == home) {
            Some((_, truth)) if *truth != uid => None,
            None if answered(home) => None,
            Some(_) | None => Some((home.clone(), uid)),
        }
    };
    let mut keyed: Vec<(Identity, Vec<Marked<T>>)> = Vec::new();
    let mut strays = Vec::new();
    for copy in copies {
        let Some(key) = identity(&copy) else {
            strays.push(copy);
            continue;
        };
        match keyed.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(copy),
            None => keyed.push((key, vec![copy])),
        }
    }
    let mut folds: Vec<_> = keyed.into_iter().map(|(_, members)| members).collect();
    folds
        .sort_by_key(|members| std::cmp::Reverse(members.iter().map(|copy| copy.mark.epoch).max()));
    Groups { folds, strays }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(member: &str, home: &str, home_uid: Option<&str>, epoch: u64) -> Marked<()> {
        let name = |text| ClusterName::new(text).unwrap();
        let mark = Mark {
            home: name(home),
            home_uid: home_uid.map(str::to_owned),
            epoch,
            total: None,
            shares: None,
        };
        Marked { member: name(member), mark, uid: format!("uid-{member}"), copy: () }
    }

    fn names(copies: &[Marked<()>]) -> Vec<&str> {
        copies.iter().map(|copy| copy.member.as_str()).collect()
    }

    #[test]
    fn copies_that_name_the_uid_of_homes_copy_are_one_object() {
        let copies = vec![
            copy("osaka", "tokyo", Some("uid-tokyo"), 1),
            copy("tokyo", "tokyo", None, 1),
            copy("nagoya", "tokyo", Some("forged"), 1),
            copy("kobe", "tokyo", None, 1),
        ];
        let groups = group(copies, |_| true);
        assert_eq!(groups.folds.len(), 1);
        assert_eq!(names(&groups.folds[0]), ["osaka", "tokyo"]);
        assert_eq!(names(&groups.strays), ["nagoya", "kobe"]);
    }

    #[test]
    fn copies_of_a_silent_home_find_each_other_by_its_uid() {
        let copies = vec![
            copy("osaka", "tokyo", Some("old"), 1),
            copy("nagoya", "tokyo", Some("new"), 2),
            copy("kobe", "tokyo", Some("new"), 2),
        ];
        let groups = group(copies.clone(), |member| member.as_str() != "tokyo");
        assert_eq!(groups.folds.len(), 2);
        assert_eq!(names(&groups.folds[0]), ["nagoya", "kobe"]);
        assert_eq!(names(&group(copies, |_| true).strays), ["osaka", "nagoya", "kobe"]);
    }
}
