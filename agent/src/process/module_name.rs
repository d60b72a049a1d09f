//! What a binary is called: the module of its frames, the same from one version to the next.

use std::path::Path;

use stoker_symbols::clean_text;

/// Longest module name.
pub const MODULE_NAME_BYTES_MAX: usize = 255;

/// A library's SONAME, or else file name, without its version; an executable's file name.
#[must_use]
pub fn module_name(path: &Path, soname: Option<&str>, main_executable: bool) -> String {
    let file_name = || path.file_name().unwrap_or_default().to_string_lossy();
    let name = match soname {
        _ if main_executable => file_name().into_owned(),
        Some(soname) => without_version(soname).to_owned(),
        None => without_version(&file_name()).to_owned(),
    };
    clean(&name)
}

/// Cuts what follows `.so`.
fn without_version(name: &str) -> &str {
    let mut ends = name.match_indices(".so").map(|(at, found)| at + found.len());
    let end = ends.find(|&end| matches!(name.as_bytes().get(end), None | Some(b'.')));
    &name[..end.unwrap_or(name.len())]
}

fn clean(name: &str) -> String {
    clean_text(name, MODULE_NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_left_out() {
        for (path, soname, main, wanted) in [
            ("/usr/lib/libc.so.6", Some("libc.so.6"), false, "libc.so"),
            ("/x/libstdc++.so.6.0.30", Some("libstdc++.so.6"), false, "libstdc++.so"),
            ("/x/libpython3.11.so.1.0", Some("libpython3.11.so.1.0"), false, "libpython3.11.so"),
            ("/x/libfoo.so.2.1", None, false, "libfoo.so"),
            (
                "/x/_json.cpython-311-x86_64-linux-gnu.so",
                None,
                false,
                "_json.cpython-311-x86_64-linux-gnu.so",
            ),
            ("/x/ld-linux-x86-64.so.2", Some("ld-linux-x86-64.so.2"), false, "ld-linux-x86-64.so"),
            ("/x/plugin", None, false, "plugin"),
            ("/x/a.sock", None, false, "a.sock"),
            ("/usr/bin/python3.11", None, true, "python3.11"),
            ("/x/odd.so.3", Some("odd.so.3"), true, "odd.so.3"),
            ("/x/a\u{7}b", None, true, "a\u{fffd}b"),
        ] {
            assert_eq!(module_name(Path::new(path), soname, main), wanted, "{path}");
        }
    }
}
