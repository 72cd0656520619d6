use std::os::unix::fs::PermissionsExt;

use super::super::testing::{NOW, Scene};
use super::*;

fn words(scene: &Scene, name: &str, text: &str) -> String {
    let path = scene.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn here(scene: &Scene) -> bool {
    authority_dir(scene.state()).join("root.key").exists()
}

#[test]
fn the_root_key_goes_into_a_private_file_and_comes_back() {
    let scene = Scene::new();
    let (file, good) = (scene.path("root.txt"), words(&scene, "good", "five words nobody would guess\n"));
    let before = std::fs::read(authority_dir(scene.state()).join("root.key")).unwrap();
    scene.run(&["ca", "export", &file, "--passphrase-file", &good]).unwrap();
    assert!(!here(&scene));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("PRIVATE"));
    assert_eq!(scene.questions().last_done("ca export").unwrap(), Some(NOW));
    scene.run(&["backup", &scene.path("plumb.db")]).unwrap();
    scene.run(&["restore", &scene.path("plumb.db")]).unwrap();
    assert!(!here(&scene), "a backup without the key is a whole one");
    scene.run(&["ca", "import", &file, "--passphrase-file", &good]).unwrap();
    assert_eq!(std::fs::read(authority_dir(scene.state()).join("root.key")).unwrap(), before);
    assert_eq!(scene.questions().last_done("ca import").unwrap(), Some(NOW));
}

#[test]
fn what_does_not_work_leaves_the_key_where_it_is() {
    let scene = Scene::new();
    let (file, good) = (scene.path("root.txt"), words(&scene, "good", "five words nobody would guess"));
    let export = |file: &str, words: &str| scene.run(&["ca", "export", file, "--passphrase-file", words]).unwrap_err();
    assert!(export(&file, &words(&scene, "short", "short")).starts_with("the passphrase is too short"));
    assert!(export(&scene.path("none/root.txt"), &good).starts_with("the root key stays where it is: make "));
    std::fs::write(&file, "precious").unwrap();
    assert_eq!(export(&file, &good), format!("{file} is there already: give another name"));
    assert!(here(&scene) && std::fs::read(&file).unwrap() == b"precious");
}

#[test]
fn a_file_that_somebody_else_made_meanwhile_stays_and_our_own_goes_when_it_is_not_good() {
    let scene = Scene::new();
    let file = scene.folder.file("root.txt");
    let bad = || bail!("it is not good");
    std::fs::write(&file, "precious").unwrap();
    assert!(write(&file, "text", || Ok(())).is_err() && write(&file, "text", bad).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(write(&file, "text", bad).unwrap_err().to_string(), "it is not good");
    assert!(!file.exists());
    write(&file, "text", || Ok(())).unwrap();
    assert!(file.exists());
}

#[test]
fn keys_that_restores_have_left_are_found() {
    let scene = Scene::new();
    assert_eq!(elsewhere(scene.state()).unwrap(), Vec::<PathBuf>::new());
    scene.run(&["backup", &scene.path("plumb.db")]).unwrap();
    scene.run(&["restore", &scene.path("plumb.db")]).unwrap();
    let part = scene.state().join("restore.part/ca");
    std::fs::create_dir_all(&part).unwrap();
    std::fs::write(part.join("root.key"), "").unwrap();
    let before = scene.state().join("before-restore-2026-11-21T100102Z/ca/root.key");
    assert_eq!(elsewhere(scene.state()).unwrap(), [before, part.join("root.key")]);
}

#[test]
fn another_passphrase_brings_nothing_back() {
    let scene = Scene::new();
    let (file, good) = (scene.path("root.txt"), words(&scene, "good", "five words nobody would guess"));
    scene.run(&["ca", "export", &file, "--passphrase-file", &good]).unwrap();
    let import = |words: &str| scene.run(&["ca", "import", &file, "--passphrase-file", words]);
    let told = import(&words(&scene, "bad", "four words nobody would guess")).unwrap_err();
    assert_eq!(told, format!("{file}: the passphrase is another one, or the file is damaged"));
    assert!(!here(&scene));
    import(&good).unwrap();
    assert!(import(&good).unwrap_err().ends_with("root.key is there already"));
}
