package debian

// reviewed are the scripts that were read on 2026-11-28, by package: of what runtimes are made of as Debian 12 and 13 have it, and of what
// curl, git, bash, Python and the clients of databases need as Debian 13 has it. What they would have done in an image, where nothing was
// installed before, is done by [tree.set], or does not matter there. A script that Debian changes is refused until somebody has read it again:
// TestDebian prints its digest.
var reviewed = map[string][]string{
	"base-files": {
		"5a1c4a9a0c889334", "62de7b2f13a4dd58", "b2e293532ca2fd90", "17b58df864283832", "c3a662aff56ced53",
	},
	"base-passwd":     {"b8131cec1e397a0c", "bc753f87e94de6b4", "846e8a3d39edf563"},
	"bash":            {"51cc2402ceab3288"},
	"ca-certificates": {"02ce09454b539221"},
	"debianutils":     {"f9f2eff3ac1d4eff"},
	"git":             {"7d03faa764fd852c"},
	"gzip":            {"ccd5653240d64088", "659f2cd0ed7a3f41"},
	"libc-bin":        {"e50b6030b2842e4e"},
	"libc6": {
		"5be4955743b95233", "a9858926c7685596", "005245335dd3c6e4", "26b1b30b66ff3e7d", "e7bab19ad7dfd97f", "f978a9396f170251",
	},
	"libgcrypt20":          {"6881673bb43f801a"},
	"libgssapi-krb5-2":     {"45dfecc1166e56b2"},
	"libreadline8t64":      {"f520a927fc87ef0a"},
	"libselinux1":          {"35141fc1274d6336"},
	"libtirpc3t64":         {"a2fcf205ae0d1ff8"},
	"mariadb-common":       {"61b0e1fb86c5387e", "3766cbc668ceb754"},
	"mysql-common":         {"bc31f593c9afdc49", "55dcabee2fd6f7cd"},
	"netbase":              {"59bb91bad8d8de37", "f717fcfec1a099fa"},
	"openssl":              {"84ce0a93335c0735"},
	"perl":                 {"d4d56e9870da6cfe"},
	"postgresql-client-17": {"4d228cfc4b120eac"},
	"python3":              {"ee8cfb522aa41f7d", "4b6300f0cfa140ab"},
	"python3.13":           {"0d4eef0740f3463d", "54f3c73252d55df3"},
	"python3.13-minimal":   {"9c24c0917080fbe9", "2f17a7f26c8e550a", "5e22b382cd35cbc4"},
	"readline-common":      {"9c6a423e2600922f"},
	"tar":                  {"48d74a47bf02c090"},
	"tzdata":               {"272af768dc6d6ed2", "cb7ed7c89a37c649"},
}
