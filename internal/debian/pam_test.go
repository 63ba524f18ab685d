package debian

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/test/debiantest"
)

// The files that services of PAM include have the modules of all packages, as pam-auth-update writes them: by priority, the first with options
// of its own, each jump over what follows.
func TestPAM(t *testing.T) {
	r := newRepository(t)
	base := r.add("base-files", "13", "")
	template := func(kind string) string {
		return "# " + kind + "\n# here are the per-package modules (the \"Primary\" block)\n$primary\n# here's the fallback if no module succeeds\n" +
			"deny\n# and here are more per-package modules (the \"Additional\" block)\n$additional\n# end of pam-auth-update config\n"
	}
	files := []func(*debiantest.Package){
		debiantest.Regular(pamProfiles+"/unix", "Name: Unix\nDefault: yes\nPriority: 256\nAuth-Type: Primary\nAuth:\n\t[success=end default=ignore]\tpam_unix.so try_first_pass\n"+
			"Auth-Initial:\n\t[success=end default=ignore]\tpam_unix.so nullok\nSession-Type: Additional\nSession:\n\trequired\tpam_unix.so\n"),
		debiantest.Control("postinst", "#!/bin/sh\nset -e\npam-auth-update --root \"$DPKG_ROOT\" --package --force\nrm -f /etc/pam.d/common-auth.pam-old /etc/pam.d/common-account.pam-old\n"),
	}
	for _, kind := range pamTypes {
		files = append(files, debiantest.Regular(pamTemplates+"common-"+kind, template(kind)))
	}
	runtime := r.add("libpam-runtime", "1", "", files...)
	more := r.add("libpam-more", "1", "",
		debiantest.Regular(pamProfiles+"/more", "Name: More\nDefault: yes\nPriority: 300\nAuth-Type: Primary\nAuth:\n\t[success=end default=ignore]\tpam_more.so\n"+
			"Session-Interactive-Only: yes\nSession-Type: Additional\nSession:\n\toptional\tpam_more.so\n"),
		debiantest.Regular(pamProfiles+"/off", "Name: Off\nDefault: no\nPriority: 400\nAuth-Type: Primary\nAuth:\n\trequired\tpam_off.so\n"))
	made := install(t, r.archive(), &System{}, base, runtime, more)
	common := func(kind, primary, additional string) {
		assert.Equal(t, "# "+kind+"\n# here are the per-package modules (the \"Primary\" block)\n"+primary+"# here's the fallback if no module succeeds\n"+
			"deny\n# and here are more per-package modules (the \"Additional\" block)\n"+additional+"# end of pam-auth-update config\n",
			content(t, made["/etc/pam.d/common-"+kind]))
	}
	none := func(service string) string { return service + "\t[default=1]\t\t\tpam_permit.so\n" }
	common("auth", "auth\t[success=2 default=ignore]\tpam_more.so \nauth\t[success=1 default=ignore]\tpam_unix.so try_first_pass\n", "")
	common("account", none("account"), "")
	common("session", none("session"), "session\toptional\tpam_more.so \nsession\trequired\tpam_unix.so \n")
	common("session-noninteractive", none("session"), "session\trequired\tpam_unix.so \n")
}
