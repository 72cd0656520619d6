//! Who is limited to a group is shown nothing else, whatever is asked.

use super::limited::Limited;
use super::*;
use crate::store::rows::Groups;

fn groups(client: &str) -> Groups {
    [("client".to_owned(), client.to_owned())].into()
}

#[tokio::test]
async fn a_reader_of_another_group_finds_nothing() {
    let mut scene = Scene::drifting().await;
    let host = scene.questions.hosts().unwrap().remove(0);
    assert_eq!(host.groups, groups("acme"));
    let theirs = groups("bravo");
    let mut limited = Limited { all: scene.questions.as_mut(), groups: &theirs };
    let of_host = DriftFilter { host: Some(host.id), ..DriftFilter::default() };
    let by_number = DriftFilter { all: true, ids: vec![1], ..DriftFilter::default() };
    let events = EventFilter { limit: 10, ..EventFilter::default() };
    assert!(limited.hosts().unwrap().is_empty());
    assert!(limited.view(&host.id).is_err() && limited.outline(&host.id).is_err());
    for filter in [of_host.clone(), by_number.clone(), DriftFilter { groups: groups("acme"), ..DriftFilter::default() }]
    {
        assert!(limited.drifts(&filter).unwrap().is_empty(), "{filter:?}");
    }
    let of_host_facts = FactFilter { host: Some(host.id), ..FactFilter::default() };
    assert!(limited.facts("php", &of_host_facts).unwrap().is_empty());
    assert!(limited.facts("php", &FactFilter::default()).unwrap().is_empty());
    assert!(limited.events(&host.id, &events).unwrap().is_empty());
    assert!(limited.changes(&host.id, at(0)).unwrap().is_empty());
    assert!(limited.declarations(&Groups::new()).unwrap().is_empty());
    assert!(limited.messages(10).unwrap().is_empty());
    assert!(limited.users().is_err() && limited.verify().is_err());

    let ours = groups("acme");
    let mut limited = Limited { all: scene.questions.as_mut(), groups: &ours };
    assert_eq!((limited.hosts().unwrap().len(), limited.drifts(&of_host).unwrap().len()), (1, 1));
    assert_eq!(limited.drifts(&by_number).unwrap().len(), 1);
    assert_eq!(limited.changes(&host.id, at(0)).unwrap().len(), 1);
    assert_eq!(limited.facts("php", &of_host_facts).unwrap().len(), 1);
    assert_eq!(limited.view(&host.id).unwrap().host.name, "web-1");
    assert_eq!(limited.declarations(&Groups::new()).unwrap().len(), 1);
}
