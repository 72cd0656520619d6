//! Rules, policy files, conditions, the schema.

use super::*;

#[tokio::test]
async fn the_rules_in_force_are_told_with_their_files() {
    let mut scene = Scene::new().await;
    let rules = rows(scene.client.rules(pb::RulesRequest::default()).await, |page| page.rules).await;
    assert!(rules.len() > 5, "{}", rules.len());
    for rule in rules {
        assert!(rule.file.ends_with(".toml") && rule.line > 0 && !rule.on.is_empty(), "{rule:?}");
        assert!(rule.texts.iter().any(|text| text.name == "ok"), "{rule:?}");
    }
}

async fn tried(scene: &mut Scene, text: &str) -> pb::TestPolicyPage {
    let request = pb::TestPolicyRequest { file: "mine.toml".to_owned(), text: text.to_owned() };
    let pages = rows(scene.client.test_policy(request).await, |page| vec![page]).await;
    let mut whole = pages[0].clone();
    whole.findings = pages.into_iter().flat_map(|page| page.findings).collect();
    whole
}

#[tokio::test]
async fn a_policy_file_is_tried_on_the_hosts_and_changes_nothing() {
    let mut scene = Scene::drifting().await;
    let links = scene.links();
    let page = tried(
        &mut scene,
        "[\"mine.old\"]\non = \"php\"\nseverity = \"critical\"\nok = \"php.version == '8.2.29'\"\ntitle = \"{key} is \
         {php.version}\"\n\n[\"mine.cli\"]\non = \"php\"\nseverity = \"info\"\nwhere = \"key == 'cli/8.2'\"\n\
         ok = \"false\"\ntitle = \"x\"\n",
    )
    .await;
    assert_eq!(page.mistakes, Vec::<String>::new());
    let judged: Vec<_> = page.judgements.iter().map(|each| (each.rule.as_str(), each.holds, each.broken)).collect();
    assert_eq!(judged, [("mine.cli", 0, 0), ("mine.old", 0, 1)]);
    let finding = &page.findings[0];
    assert_eq!((finding.host.as_str(), finding.title.as_str()), ("web-1", "fpm/8.2 is 8.2.30"));
    assert_eq!((scene.links(), scene.drifts().await.len()), (links, 1));
}

#[tokio::test]
async fn every_mistake_of_a_policy_file_is_told_with_its_line_and_the_nearest_name() {
    let mut scene = Scene::new().await;
    let page = tried(
        &mut scene,
        "[\"a\"]\non = \"phq\"\nseverity = \"bad\"\nok = \"true\"\ntitle = \"x\"\n\n[\"b\"]\non = \"php\"\n\
         severity = \"info\"\nok = \"php.versoin == '8'\"\ntitle = \"x\"\nhnit = \"x\"\n",
    )
    .await;
    assert_eq!(
        page.mistakes,
        [
            "mine.toml:12: rule `b`: there is no field `hnit`; do you mean `hint`?",
            "mine.toml:2: rule `a`, on: there is no table or metric `phq`; do you mean `php`?",
            "mine.toml:10: rule `b`, ok: table `php` has no column `versoin`; do you mean `version`?",
        ]
    );
}

#[tokio::test]
async fn facts_are_asked_for_by_a_condition() {
    let mut scene = Scene::drifting().await;
    let asked = |condition: &str| pb::FactsRequest {
        table: "php".to_owned(),
        r#where: condition.to_owned(),
        ..Default::default()
    };
    let new = rows(scene.client.facts(asked("php.version == '8.2.30'")).await, |page| page.rows).await;
    assert_eq!(new.iter().map(|row| row.key.as_slice()).collect::<Vec<_>>(), [b"fpm/8.2"]);
    let old = rows(scene.client.facts(asked("php.version == '8.2.29'")).await, |page| page.rows).await;
    assert!(old.is_empty());
    let untold = rows(scene.client.facts(asked("php.running")).await, |page| vec![page]).await;
    assert_eq!((untold[0].unknown, untold.len()), (1, 1), "a column that was not told");
    let wrong = scene.client.facts(asked("php.versoin == 'x'")).await.unwrap_err();
    assert_eq!(wrong.message(), "--where: table `php` has no column `versoin`; do you mean `version`?");
}

#[tokio::test]
async fn the_schema_has_every_table_of_this_release_and_says_what_no_host_has_told() {
    let mut scene = Scene::drifting().await;
    let pages = rows(scene.client.schema(pb::SchemaRequest::default()).await, |page| vec![page]).await;
    let untold: Vec<_> = pages.iter().flat_map(|page| &page.untold).collect();
    let tables: Vec<_> = pages.iter().flat_map(|page| &page.tables).collect();
    let known = crate::drift::policy::Catalogue::with(&[]).unwrap();
    for (name, columns) in &known.tables {
        let table = tables.iter().find(|table| table.name == *name).unwrap();
        assert!(columns.keys().all(|column| table.columns.iter().any(|each| each.name == *column)), "{name}");
    }
    let is_untold = |table: &str, column: &str| untold.iter().any(|each| each.table == table && each.column == column);
    assert!(is_untold("mount", "fstype") && !is_untold("php", "version"));
}

#[tokio::test]
async fn the_table_of_support_is_asked_for_like_any_other() {
    let mut scene = Scene::new().await;
    scene.send(&full(1, vec![fact("fpm/8.1", "8.1.30"), fact("cli/8.9", "8.9.1")])).await;
    let asked = |host: &str, condition: &str| pb::FactsRequest {
        table: "support".to_owned(),
        host: host.to_owned(),
        r#where: condition.to_owned(),
        ..Default::default()
    };
    let verdicts = |rows: Vec<pb::Row>| -> Vec<(String, String)> {
        let text = |row: &pb::Row| {
            let verdict = row.fields.iter().find(|field| field.name == "verdict").unwrap().value.clone();
            plumb_proto::wire::value_from_wire(verdict).unwrap().to_string()
        };
        rows.iter().map(|row| (String::from_utf8_lossy(&row.key).into_owned(), text(row))).collect()
    };
    let both = [("php/cli/8.9", "newer than the table"), ("php/fpm/8.1", "not judged")];
    let both = both.map(|(key, verdict)| (key.to_owned(), verdict.to_owned()));
    let all = rows(scene.client.facts(asked("", "")).await, |page| page.rows).await;
    assert_eq!(verdicts(all), both);
    let of_host = rows(scene.client.facts(asked("web-1", "")).await, |page| page.rows).await;
    assert_eq!(verdicts(of_host), both);
    let newer = asked("", "support.verdict.startsWith('newer')");
    let newer = rows(scene.client.facts(newer).await, |page| page.rows).await;
    assert_eq!(verdicts(newer), both[..1]);
    let undated = rows(scene.client.facts(asked("", "support.days_left < 0")).await, |page| vec![page]).await;
    assert_eq!((undated[0].unknown, undated.len()), (2, 1), "days are known of neither");
    let page =
        rows(scene.client.schema(pb::SchemaRequest { table: "support".to_owned() }).await, |page| vec![page]).await;
    let table = &page[1].tables[0];
    assert!(table.doc.contains("as of 2026-08-22, from endoflife.date (MIT"), "{}", table.doc);
    assert!(page[0].untold.is_empty() && table.columns.iter().all(|column| !column.doc.is_empty()));
}
