//! The launcher's own parts: its program, its records, and what it trusts.
#define GROUP "the product's own parts"
#include "suite.h"

#define WRITES(path) return opens(path, O_WRONLY)
#define REPLACES(path) return rename(writable("file"), path)

ATTACK(launcher_write, BOTH, "write the launcher's program") { WRITES(product("bin/secure-exec")); }
ATTACK(launcher_replace, BOTH, "replace it") { REPLACES(product("bin/secure-exec")); }
ATTACK(launcher_delete, BOTH, "delete it") { return unlink(product("bin/secure-exec")); }
ATTACK(parent_program, BOTH, "open the parent's program by /proc") {
    return opens(of_process(getppid(), "exe"), O_RDONLY);
}
ATTACK(parent_reference, BOTH, "keep a reference to the parent's program") {
    return opens(of_process(getppid(), "exe"), O_PATH);
}
ATTACK(parent_root, BOTH, "write the launcher's program by the parent's root") {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "root%s", product("bin/secure-exec"));
    WRITES(of_process(getppid(), name));
}
ATTACK(parent_memory, BOTH, "open the parent's memory") { return opens(of_process(getppid(), "mem"), O_RDWR); }
ATTACK(plugin_replace, BOTH, "replace its own program") { REPLACES(product("plugins/suite")); }
ATTACK(plugin_add, BOTH, "put another program beside it") {
    return opens(product("plugins/new"), O_WRONLY | O_CREAT);
}
WITNESS(plugin_add) { return exists(product("plugins/new")); }
ATTACK(whitelist_read, BOTH, "read the whitelist") { return opens(product("plugins.whitelist"), O_RDONLY); }
ATTACK(whitelist_append, BOTH, "add to it") { return opens(product("plugins.whitelist"), O_WRONLY | O_APPEND); }
ATTACK(whitelist_replace, BOTH, "replace it") { REPLACES(product("plugins.whitelist")); }
ATTACK(profile_write, BOTH, "write its own profile") { WRITES(product("profiles.d/boxed.yaml")); }
ATTACK(profile_add, BOTH, "add a profile") { return opens(product("profiles.d/new.yaml"), O_WRONLY | O_CREAT); }
WITNESS(profile_add) { return exists(product("profiles.d/new.yaml")); }
ATTACK(configuration_write, BOTH, "write the configuration") { WRITES(product("config.yaml")); }
ATTACK(key_replace, BOTH, "replace a key that signatures are checked with") { REPLACES(product("trusted.pub")); }
ATTACK(log_read, BOTH, "read the audit log") { return opens(product("state/audit.log"), O_RDONLY); }
ATTACK(log_forge, BOTH, "append to it") { return opens(product("state/audit.log"), O_WRONLY | O_APPEND); }
ATTACK(log_truncate, BOTH, "truncate it") { return truncate(product("state/audit.log"), 0); }
ATTACK(log_delete, BOTH, "delete it") { return unlink(product("state/audit.log")); }
ATTACK(log_divert, BOTH, "put a link in its place") {
    return rename(product("state/audit.log"), product("state/old")) ? -1 : symlink("/dev/null", product("state/audit.log"));
}
