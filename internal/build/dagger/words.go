package dagger

import (
	"regexp"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
)

// Words writes a sentence that names flags of the command in terms of the Dagger module: its arguments, and their values.
func Words(sentence string) string {
	sentence = phrases.Replace(sentence)
	sentence = noEntry.ReplaceAllString(sentence, "no credential")
	sentence = limitLogin.ReplaceAllString(sentence, "limit with a login")
	sentence = dockerLogin.ReplaceAllString(sentence, "give a login that it accepts, by with-login or --registry-config")
	return flag.ReplaceAllStringFunc(sentence, func(match string) string {
		parts := flag.FindStringSubmatch(match)
		name, between, value := parts[1], parts[2], parts[3]
		if enums[name] && values[value] {
			between, value = " ", strings.ToUpper(strings.ReplaceAll(value, "-", "_"))
		}
		if other, ok := arguments[name]; ok {
			name = other
		}
		return "--" + name + between + value
	})
}

// noEntry names the places where a login was searched, which are in the module's container.
var noEntry = regexp.MustCompile(`no credential \((?:no entry for|neither docker nor podman) [^()]*\)`)

// limitLogin is the command's advice on a registry that lets too few requests through.
var limitLogin = regexp.MustCompile("limit with `docker login [^`]*`")

// dockerLogin is the command's advice on a login, up to its end.
var dockerLogin = regexp.MustCompile("(log in (with|anew with) )?`docker login [^`]*`(, or name the [a-z]+ of a config\\.json with a valid login by DOCKER_CONFIG)?")

// flag is a flag of the command, and a word after it that may be its value.
var flag = regexp.MustCompile(`--([a-z][a-z-]*)(?:(=| )([a-z][a-z-]*))?`)

// arguments are those of the module that are called otherwise than the command's flags; enums are those whose values are spelled as
// constants, and values are these.
var arguments, enums, values = func() (map[string]string, map[string]bool, map[string]bool) {
	arguments := map[string]string{"all": "publish-all", "tag": "tags"}
	enums := map[string]bool{"sbom": true}
	values := map[string]bool{"none": true, "cyclonedx": true, "spdx": true}
	for _, s := range plan.Settings() {
		if name := Kebab(s.ArgumentName()); name != s.Flag {
			arguments[s.Flag] = name
		}
		for _, choice := range s.Choices {
			enums[s.Flag], values[choice.Value] = true, true
		}
	}
	return arguments, enums, values
}()

// capital is a letter that begins a word of a name.
var capital = regexp.MustCompile(`[A-Z]`)

// Kebab is the name of an argument as the Dagger CLI spells it.
func Kebab(name string) string { return strings.ToLower(capital.ReplaceAllString(name, "-$0")) }

// phrases are what the module does in another way than the command.
var phrases = strings.NewReplacer(Phrases...)

// Phrases are pairs of what sentences say to the user of the command, and what they say to that of the module.
var Phrases = []string{
	"give slipway the directory of a Go module, or make one with go mod init",
	"give --source the directory of a Go module, with --packages for a program below it, or make one with go mod init",
	"install it on this machine, or build on a Dagger engine and name the package that has it with", "name the package that has it with",
	"name one with --git-token HOST=env:VARIABLE or --netrc FILE, or put it into ~/.netrc; and put its path into GOPRIVATE",
	"give one with --git-host HOST --git-token env:VARIABLE or --netrc FILE, and its path with --goprivate",
	"check which go is on the PATH", "report it as a bug",
	"as --engine dagger does, or", "or",
	"check GOPROXY", "check --goproxy",
	"the network, GOPROXY and the proxy variables", "the network and --goproxy",
	"install or repair that helper, or name a directory whose config.json does without it by DOCKER_CONFIG",
	"give a config.json that has the login itself, or call with-login",
	"list the images there, or leave --all out", "list the images there, or call publish",
	"name one or more, or use --all", "choose one, as in: image --name NAME build",
	"run slipway pin", "call pin",
}
