//! A secret: it can be used, and it cannot be shown by accident.

use std::fmt;
use std::io;
use std::path::Path;

use crate::base::Msg;
use crate::msg;

/// Has no `Display`, and its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret file holds a key, not a library.
const MAX_FILE: u64 = 64 * 1024;

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// For the request that needs it, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text without this secret: platforms quote what they were sent.
    pub fn hide_in(&self, text: &str) -> String {
        if self.0.is_empty() {
            text.to_string()
        } else {
            text.replace(&self.0, "…")
        }
    }

    /// Reads a variable of the environment.
    ///
    /// # Errors
    /// When it is not set or empty; the message names the variable and never a value.
    pub fn from_env(name: &str) -> Result<Self, Msg> {
        match std::env::var(name) {
            Ok(value) if !value.trim().is_empty() => Ok(Secret(value.trim().to_string())),
            _ => Err(msg!(
                "the environment variable `{name}` is not set",
                "环境变量 `{name}` 未设置"
            )),
        }
    }

    /// Reads a file that only its owner may read.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or that others may read.
    pub fn from_file(path: &Path) -> Result<Self, Msg> {
        let shown = path.display();
        let said = |e: io::Error| {
            msg!(
                "the secret file `{shown}` cannot be read: {e}",
                "无法读取密钥文件 `{shown}`：{e}"
            )
        };
        let about = std::fs::metadata(path).map_err(said)?;
        if about.len() > MAX_FILE {
            return Err(msg!(
                "the secret file `{shown}` is longer than {MAX_FILE} bytes",
                "密钥文件 `{shown}` 超过 {MAX_FILE} 字节"
            ));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = about.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(msg!(
                    "others may read the secret file `{shown}` (mode {mode:o}): run `chmod 600 {shown}`",
                    "其他用户可以读取密钥文件 `{shown}`（权限 {mode:o}）：请执行 `chmod 600 {shown}`"
                ));
            }
        }
        let text = std::fs::read_to_string(path).map_err(said)?;
        match text.trim() {
            "" => Err(msg!(
                "the secret file `{shown}` is empty",
                "密钥文件 `{shown}` 是空的"
            )),
            secret => Ok(Secret(secret.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "Secret(…) Some(Secret(…))"
        );
        assert_eq!(
            secret.hide_in("invalid secret hunter2, hunter2"),
            "invalid secret …, …"
        );
        assert_eq!(Secret::new("").hide_in("abc"), "abc");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "hunter2\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = Secret::from_file(&path);
            assert_eq!(read.is_ok(), fine, "{mode:o}");
            match read {
                Ok(secret) => assert_eq!(secret.expose(), "hunter2"),
                Err(why) => assert!(
                    why.en.contains("chmod 600") && !why.en.contains("hunter2"),
                    "{}",
                    why.en
                ),
            }
        }
        assert!(Secret::from_file(&dir.path().join("none")).is_err());
    }
}
