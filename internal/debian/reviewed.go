package debian

// reviewed are the scripts that were read on 2026-11-28, by package, in all architectures that Debian 12 and 13 are for. What they would have
// done in an image, where nothing was installed before, is done by [tree.set], or does not matter there. A script that Debian changes is
// refused until somebody has read it again: TestDebian prints its digest.
var reviewed = map[string][]string{
	"base-files": {
		"5a1c4a9a0c889334", "62de7b2f13a4dd58", "b2e293532ca2fd90", "17b58df864283832", "c3a662aff56ced53",
	},
	"base-passwd": {
		"b8131cec1e397a0c", "bc753f87e94de6b4", "846e8a3d39edf563",
	},
	"ca-certificates": {
		"02ce09454b539221",
	},
	"libc6": {
		"5be4955743b95233", "a9858926c7685596", "005245335dd3c6e4", "26b1b30b66ff3e7d", "e7bab19ad7dfd97f", "f978a9396f170251",
	},
	"netbase": {
		"59bb91bad8d8de37", "f717fcfec1a099fa",
	},
	"openssl": {
		"84ce0a93335c0735",
	},
	"tzdata": {
		"272af768dc6d6ed2", "cb7ed7c89a37c649",
	},
}
