//! The clients, installed once into `target/clients/` from the pinned lists in `tests/clients/`.
//!
//! An install is done again when its list changes. Tests run in parallel, so a file lock is held
//! while one installs. What isn't there at all (an interpreter, a compiler) is [`Missing`]: the
//! test is skipped then, unless `FLETCH_REQUIRE_CLIENTS` is set.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bounded;

const PROBE_LIMIT: Duration = Duration::from_secs(30);
const INSTALL_LIMIT: Duration = Duration::from_secs(600);
/// A C library among it: a minute and a half of two cores that have nothing else to do.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// Why a client can't run on this machine.
pub(crate) struct Missing(pub(crate) String);

/// Where everything of the repository is found.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository")
}

/// A folder in the target directory for what is installed.
pub(crate) fn installed(set: &str) -> PathBuf {
    // `CARGO_TARGET_TMPDIR` is `<target>/tmp`.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("a target directory");
    target.join("clients").join(set)
}

/// The interpreter of a virtual environment that holds `tests/clients/python/<set>.txt`.
pub(crate) fn python(set: &str) -> Result<PathBuf, Missing> {
    let supported = "import ensurepip, sys, venv; assert sys.version_info >= (3, 10)";
    probe(
        "Python 3.10 or later, with venv",
        "python3",
        &["-c", supported],
    )?;
    let list = repository().join(format!("tests/clients/python/{set}.txt"));
    let environment = installed(set);
    let interpreter = environment.join("bin/python");
    once(set, &[&list], || {
        step(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&environment),
        );
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--only-binary=:all:", "-r"])
            .arg(&list);
        step(&mut pip);
    });
    Ok(interpreter)
}

/// A folder that holds `node_modules` of `tests/clients/node/package-lock.json`.
pub(crate) fn node() -> Result<PathBuf, Missing> {
    let supported = "process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)";
    probe("Node 18 or later", "node", &["-e", supported])?;
    probe("npm", "npm", &["--version"])?;
    let source = repository().join("tests/clients/node");
    let (list, lock) = (
        source.join("package.json"),
        source.join("package-lock.json"),
    );
    let folder = installed("node");
    once("node", &[&list, &lock], || {
        fs::create_dir_all(&folder).expect("a folder for the packages");
        fs::copy(&list, folder.join("package.json")).expect("a copy of package.json");
        fs::copy(&lock, folder.join("package-lock.json")).expect("a copy of package-lock.json");
        step(
            Command::new("npm")
                .args(["ci", "--ignore-scripts"])
                .current_dir(&folder),
        );
    });
    Ok(folder)
}

/// The class path of `tests/clients/java`, built with one of the versions its profiles name.
pub(crate) fn java(profile: &str) -> Result<String, Missing> {
    java_tools()?;
    let source = repository().join("tests/clients/java");
    let pom = source.join("pom.xml");
    let programs = [
        "Plain",
        "Produce",
        "Administer",
        "Consume",
        "Move",
        "Transact",
        "Login",
        "ReadAll",
    ]
    .map(|name| source.join(format!("src/main/java/{name}.java")));
    let set = format!("java-{profile}");
    let folder = installed(&set);
    let sources: Vec<_> = [&pom].into_iter().chain(&programs).collect();
    once(&set, &sources, || {
        let mut maven = Command::new("mvn");
        maven
            .args(["--batch-mode", "--quiet", "--activate-profiles", profile])
            .arg(format!("-DbuildDirectory={}", folder.display()))
            .arg("package")
            .current_dir(&source);
        step(&mut maven);
    });
    Ok(format!("{0}/classes:{0}/libraries/*", folder.display()))
}

/// A program of `tests/clients/rust`, which cargo builds into a target directory of its own.
pub(crate) fn rust(program: &str) -> Result<PathBuf, Missing> {
    // Of librdkafka's sources, which come with the crate.
    probe("C compiler", "cc", &["--version"])?;
    probe("make", "make", &["--version"])?;
    let folder = installed("rust");
    // Of several tests, cargo has all but one wait; what is built already is found so in no time.
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(repository().join("tests/clients/rust/Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder);
    if let Err(reason) = bounded::run(&mut build, BUILD_LIMIT) {
        panic!("building a client {reason}");
    }
    Ok(folder.join("debug").join(program))
}

/// Whether Java programs can be built and run here.
pub(crate) fn java_tools() -> Result<(), Missing> {
    probe(
        "JDK of version 17 or later",
        "javac",
        &["--release", "17", "--version"],
    )?;
    probe("Java", "java", &["-version"])?;
    probe("Maven", "mvn", &["--version"])
}

/// A program that the system's packages bring.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Result<PathBuf, Missing> {
    probe(name, name, arguments)?;
    Ok(PathBuf::from(name))
}

fn probe(what: &str, program: &str, arguments: &[&str]) -> Result<(), Missing> {
    let found = bounded::run(Command::new(program).args(arguments), PROBE_LIMIT);
    found
        .map(|_| ())
        .map_err(|reason| Missing(format!("no {what} here: {}", reason.trim())))
}

/// Installs a set unless the same lists were installed before.
fn once(set: &str, lists: &[&PathBuf], install: impl FnOnce()) {
    let wanted: String = lists
        .iter()
        .map(|list| fs::read_to_string(list).unwrap_or_else(|e| panic!("{}: {e}", list.display())))
        .collect();
    fs::create_dir_all(installed("")).expect("a folder for what is installed");
    let lock = File::create(installed(&format!("{set}.lock"))).expect("a lock file");
    lock.lock().expect("the lock of an install");
    let done = installed(set).join(".installed");
    if fs::read_to_string(&done).is_ok_and(|had| had == wanted) {
        return;
    }
    let _ = fs::remove_dir_all(installed(set));
    install();
    fs::write(done, wanted).expect("a mark that the install is done");
}

fn step(command: &mut Command) {
    if let Err(reason) = bounded::run(command, INSTALL_LIMIT) {
        panic!("installing a client {reason}");
    }
}
