//! Pictures are inert, bounded, and linked from the pages.

use roxmltree::Document;

use super::*;

/// Hosts with nine speeds, named from `gpu-000` on.
fn many(hosts: u32) -> RunBuilder {
    let host = |index| TestHost::new(&format!("gpu-{index:03}"));
    let host = |index| host(index).slower_by(f64::from(index % 9) * 0.004);
    (0..hosts).fold(two_cases(5), |run, index| run.host(host(index)))
}

/// Panics unless the picture has only lines, shapes and text, without scripts or external resources.
pub(super) fn check(text: &str) {
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
    insta::assert_snapshot!(page(&three_hosts(), "plots/difference-decode-speed-a.svg"));
}

#[test]
fn pages_link_to_every_picture_and_to_no_other() {
    for record in [three_hosts(), many(1).build(), many(2).levels(&[1, 2, 4]).requests(80).build()]
    {
        let files = files(&record);
        let pictures: Vec<_> = files.iter().filter(|(path, _)| path.ends_with(".svg")).collect();
        let mut linked = Vec::new();
        for (path, content) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
            let text = String::from_utf8_lossy(content);
            let up = if path.starts_with("hosts/") { "../" } else { "" };
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let own = targets.filter(|target| target.ends_with(".svg"));
            linked.extend(own.map(|target| target.strip_prefix(up).expect(path).to_owned()));
        }
        linked.sort();
        assert!(linked.iter().eq(pictures.iter().map(|(path, _)| *path)), "{linked:?}");
        for (_, picture) in pictures {
            check(std::str::from_utf8(picture).expect("pictures are UTF-8"));
        }
    }
}

#[test]
fn one_host_has_no_difference_and_a_load_has_its_curve() {
    let alone = files(&many(1).build());
    assert!(!alone.keys().any(|path| path.starts_with("plots/difference")), "{:?}", alone.keys());
    assert!(alone.contains_key("plots/host-gpu-000-timeline.svg"));
    let load = many(2).levels(&[1, 2, 4]).requests(80).build();
    assert!(files(&load).contains_key("plots/load-a.svg"));
    let rate = files(&many(2).rate(2.0, Duration::from_secs(1)).build());
    assert!(!rate.contains_key("plots/load-a.svg"), "one level is not a curve");
}

#[test]
fn a_large_fleet_has_no_large_pictures() {
    let files = files(&many(45).build());
    for (path, content) in files.iter().filter(|(path, _)| path.ends_with(".svg")) {
        assert!(content.len() < 120_000, "{path}: {} bytes", content.len());
    }
    let picture = String::from_utf8_lossy(&files["plots/difference-decode-speed-a.svg"]);
    has(&picture, "(15 more hosts with smaller differences not shown)");
}
