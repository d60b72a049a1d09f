use proptest::prelude::*;

use super::*;

fn printed(text: &str) -> String {
    Selector::parse(text).unwrap().to_string()
}

#[test]
fn what_is_read_is_what_is_meant() {
    for (text, wanted) in [
        ("", "{}"),
        ("{}", "{}"),
        ("cpu", "cpu"),
        ("cpu{}", "cpu"),
        ("process_cpu:cpu:nanoseconds:cpu:nanoseconds", "cpu"),
        ("memory:alloc_space:bytes:space:bytes{}", "memory:alloc_space:bytes:space:bytes"),
        (" cpu { a = 'b' , } ", r#"cpu{a="b"}"#),
        (
            r#"cpu{service_name="api",host=~"web-.*",zone!="a"}"#,
            r#"cpu{service_name="api",host=~"web-.*",zone!="a"}"#,
        ),
        (r#"{a!~"x|y"}"#, r#"{a!~"x|y"}"#),
        (r"{a=`x\y`}", r#"{a="x\\y"}"#),
        (r#"{a='it\'s "x"'}"#, r#"{a="it's \"x\""}"#),
        (r#"{a="\u00e9\x41\n"}"#, r#"{a="éA\n"}"#),
        (r#"{"k8s.pod.name"="p","plain"="q"}"#, r#"{"k8s.pod.name"="p",plain="q"}"#),
    ] {
        assert_eq!(printed(text), wanted, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
    for (text, position, message, hint) in [
        ("cpus", 1, "\"cpus\" is no profile type", "short names"),
        ("service_name=\"a\"", 1, "no profile type", "braces"),
        ("cpu{", 5, "label's name is wanted here, not the end", "cpu{"),
        ("cpu{a}", 6, "after a, not '}'", "cpu{"),
        ("cpu{a=b}", 7, "the value of a", "write a=\"b\""),
        ("cpu{a=“b”}", 7, "in quotes", "write a=\"b\""),
        ("cpu{a==\"b\"}", 6, "\"==\"", "single"),
        ("cpu{a=\"b\"", 10, "not the end", "close it"),
        ("cpu{a=\"b\" b=\"c\"}", 11, "comma", "cpu{"),
        ("cpu{a=\"b}", 7, "never closed", "close it with \""),
        ("cpu{a=\"\\d\"}", 8, "escape", "backticks"),
        ("cpu{a=\"\\u00\"}", 8, "4 hexadecimal digits", "\\u00e9"),
        ("cpu{a=~\"(\"}", 8, "does not compile", "by itself"),
        ("cpu{é=~\"a)|(b\"}", 5, "a label's name", "cpu{"),
        ("cpu{a=~\"b)|(c\"}", 8, "does not compile", "by itself"),
        ("cpu{a=~\"(x{999}){999}\"}", 8, "more memory", "by itself"),
        ("cpu{1a=\"b\"}", 5, "\"1a\"", "cpu{"),
        ("cpu{k8s.pod=\"b\"}", 8, "'.'", "quotes"),
        ("cpu{\"\"=\"b\"}", 5, "empty", "cpu{"),
        ("cpu{__name__=\"cpu\"}", 5, "no label", "before the braces"),
        ("cpu{} x", 7, "'x'", "cpu{"),
        ("cpu@now-1h..now", 4, "range", "from"),
        ("cpu{,}", 5, "','", "cpu{"),
    ] {
        let error = Selector::parse(text).expect_err(text);
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.hint.contains(hint), "{text}: {}", error.hint);
        assert!(!error.to_string().contains('\n'), "{text}: {error}");
    }
}

#[test]
fn sizes_are_bounded() {
    let many: String = (0..=MAX_MATCHERS).map(|_| "a=\"b\",").collect();
    let error = Selector::parse(&format!("cpu{{{many}}}")).unwrap_err();
    assert!(error.message.contains("more than 64 matchers"), "{error}");
    let long = format!("cpu{{a=\"{}\"}}", "x".repeat(MAX_SELECTOR_BYTES));
    assert!(Selector::parse(&long).unwrap_err().message.contains("8192"));
    let regex = format!("cpu{{a=~\"{}\"}}", "x".repeat(MAX_REGEX_BYTES + 1));
    assert!(Selector::parse(&regex).unwrap_err().message.contains("2048"));
}

#[test]
fn matchers_see_whole_values_and_labels_before_attributes() {
    let series = LabelSet::new([("host", "web-1"), ("zone", "a")]);
    let attributes = LabelSet::new([("comm", "nginx"), ("zone", "b"), ("note", "x\ny")]);
    for (text, wanted) in [
        (r#"{host="web-1"}"#, true),
        (r#"{host=~"web"}"#, false),
        (r#"{host=~"web-.*"}"#, true),
        (r#"{host=~"db|web-1"}"#, true),
        (r#"{host=~"x|web"}"#, false),
        (r#"{host!~"web-.*"}"#, false),
        (r#"{comm="nginx",host="web-1"}"#, true),
        (r#"{comm!="nginx"}"#, false),
        (r#"{zone="a"}"#, true),
        (r#"{zone="b"}"#, false),
        (r#"{absent=""}"#, true),
        (r#"{absent!=""}"#, false),
        (r#"{absent!="x"}"#, true),
        (r#"{absent=~".*"}"#, true),
        (r#"{absent=~".+"}"#, false),
        (r#"{note=~"x.y"}"#, true),
    ] {
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.accepts(&series, &attributes), wanted, "{text}");
    }
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual]);
    let equal = (any::<String>(), op, any::<String>())
        .prop_filter("a name", |(name, _, _)| !name.is_empty() && name != "__name__")
        .prop_map(|(name, op, value)| Matcher::new(&name, op, &value).unwrap());
    let op = prop::sample::select(vec![MatchOp::Regex, MatchOp::NotRegex]);
    let regex = ("[a-z_]{1,8}", op, "[a-z.*|\\\\]{0,6}[a-z]")
        .prop_filter_map("an expression", |(name, op, value)| Matcher::new(&name, op, &value).ok());
    prop_oneof![equal, regex]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        typed in any::<bool>(),
        matchers in prop::collection::vec(matcher(), 0..5),
    ) {
        let selector = Selector { profile_type: typed.then(ProfileType::cpu), matchers };
        let text = selector.to_string();
        prop_assume!(text.len() <= MAX_SELECTOR_BYTES);
        prop_assert_eq!(Selector::parse(&text), Ok(selector), "{}", text);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), more in "[cpu{}=!~\"'`,\\\\x0-9 ]{0,40}") {
        let _ = Selector::parse(&text);
        let _ = Selector::parse(&more);
    }
}
