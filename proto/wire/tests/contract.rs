//! The contract itself: a change of any message shows in review as a change of the snapshot.

use std::fmt::Write;

/// One line per field: number, label, type and name. Comments and order in the file do not count.
#[test]
fn the_contract_is_the_reviewed_one() {
    let set = protox::compile(["regatta/v1/session.proto", "regatta/v1/record.proto"], [".."])
        .expect("the contract compiles");
    let mut lines = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                lines.push(format!(
                    "rpc {}.{}.{}(stream={} {}) -> stream={} {}\n",
                    file.package(),
                    service.name(),
                    method.name(),
                    method.client_streaming(),
                    method.input_type(),
                    method.server_streaming(),
                    method.output_type()
                ));
            }
        }
        for e in &file.enum_type {
            assert_eq!(e.value[0].number(), 0);
            assert!(e.value[0].name().ends_with("_UNSPECIFIED"), "{}", e.value[0].name());
            let mut text = format!("enum {}\n", e.name());
            for value in &e.value {
                writeln!(text, "  {} {}", value.number(), value.name()).unwrap();
            }
            lines.push(text);
        }
        let mut messages: Vec<_> =
            file.message_type.iter().map(|m| (m.name().to_owned(), m)).collect();
        while let Some((name, message)) = messages.pop() {
            let mut text = format!("message {name}\n");
            let mut fields: Vec<_> = message.field.iter().collect();
            fields.sort_by_key(|f| f.number());
            for f in fields {
                let kind = format!("{:?}", f.r#type()).to_lowercase();
                let label = match (f.proto3_optional(), f.oneof_index) {
                    (true, _) => "optional",
                    (false, Some(_)) => "oneof",
                    (false, None) => match format!("{:?}", f.label()).as_str() {
                        "Repeated" => "repeated",
                        _ => "single",
                    },
                };
                let named = f.type_name();
                writeln!(text, "  {} {label} {kind}{named} {}", f.number(), f.name()).unwrap();
            }
            lines.push(text);
            messages
                .extend(message.nested_type.iter().map(|m| (format!("{name}.{}", m.name()), m)));
        }
    }
    lines.sort();
    insta::assert_snapshot!(lines.concat());
}
