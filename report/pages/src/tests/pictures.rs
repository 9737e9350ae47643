//! The pictures: what they show is inert, bounded, and linked from the pages.

use std::time::Duration;

use roxmltree::Document;

use super::three_hosts;
use crate::testing::{RunBuilder, TestHost};

fn many(hosts: u32) -> RunBuilder {
    let mut builder = RunBuilder::new(&["Backend system", "Debug task"], 5);
    for index in 0..hosts {
        let host = TestHost::new(&format!("gpu-{index:03}"));
        builder = builder.host(host.slower_by(f64::from(index % 9) * 0.004));
    }
    builder
}

fn svg(files: &std::collections::BTreeMap<String, Vec<u8>>, path: &str) -> String {
    String::from_utf8(files[path].clone()).expect("pictures are UTF-8")
}

/// Fails unless it is a picture of lines, shapes and text, and nothing that acts or loads.
fn check(text: &str) {
    let document = Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        let allowed =
            ["svg", "title", "style", "rect", "text", "polyline", "polygon", "circle", "line"];
        assert!(allowed.contains(&name), "<{name}> in {text}");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on") && !name.contains("href"), "{name} in {text}");
        }
    }
}

#[test]
fn a_difference_is_drawn_with_its_interval_and_the_margin() {
    let files = crate::testing::files(&three_hosts());
    insta::assert_snapshot!(svg(&files, "plots/difference-decode-speed-a.svg"));
}

#[test]
fn pages_link_to_every_picture_and_to_no_other() {
    for record in [three_hosts(), many(1).build(), many(2).levels(&[1, 2, 4]).requests(80).build()]
    {
        let mut files = crate::testing::files(&record);
        let pictures: Vec<String> =
            files.keys().filter(|path| path.ends_with(".svg")).cloned().collect();
        let mut linked = Vec::new();
        for (path, content) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
            let text = String::from_utf8_lossy(content);
            let up = if path.starts_with("hosts/") { "../" } else { "" };
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let own = targets.filter(|target| target.ends_with(".svg"));
            linked.extend(own.map(|target| target.strip_prefix(up).expect(path).to_owned()));
        }
        linked.sort();
        assert_eq!(linked, pictures);
        for picture in &pictures {
            check(&String::from_utf8(files.remove(picture).expect("a file")).expect("UTF-8"));
        }
    }
}

#[test]
fn one_host_has_no_difference_and_a_load_has_its_curve() {
    let alone = crate::testing::files(&many(1).build());
    assert!(!alone.keys().any(|path| path.starts_with("plots/difference")), "{:?}", alone.keys());
    assert!(alone.contains_key("plots/host-gpu-000-timeline.svg"));
    let load = many(2).levels(&[1, 2, 4]).requests(80).build();
    assert!(crate::testing::files(&load).contains_key("plots/load-a.svg"));
    let rate = many(2).rate(2.0, Duration::from_secs(1)).build();
    assert!(
        !crate::testing::files(&rate).contains_key("plots/load-a.svg"),
        "one level is no curve"
    );
}

#[test]
fn names_from_outside_stay_text() {
    for text in
        ["</text><script>alert(1)</script>", "<image href='x'/>", "a & b", "]]>", "\u{1b}[31m"]
    {
        let mut record = three_hosts();
        for case in &mut record.header.suite.cases {
            case.title = text.to_owned();
        }
        for (path, content) in crate::testing::files(&record) {
            if path.ends_with(".svg") {
                check(&String::from_utf8(content).expect("UTF-8"));
            }
        }
    }
}

#[test]
fn a_large_fleet_makes_no_large_pictures() {
    let files = crate::testing::files(&many(45).build());
    for (path, content) in files.iter().filter(|(path, _)| path.ends_with(".svg")) {
        assert!(content.len() < 120_000, "{path}: {} bytes", content.len());
    }
    let picture = svg(&files, "plots/difference-decode-speed-a.svg");
    assert!(picture.contains("15 more hosts are nearer to the others"), "{picture}");
}
