package plan

import "sync"

// Config is what a user asks for. The zero value asks for the defaults. Each field but [Surroundings] is a setting: [Settings] says what
// it means.
type Config struct {
	Name               string `env:"SLIPWAY_NAME"`
	Packages           List   `env:"SLIPWAY_PACKAGES"`
	Platforms          List   `env:"SLIPWAY_PLATFORMS"`
	Runtime            string `env:"SLIPWAY_RUNTIME"`
	Base               string `env:"SLIPWAY_BASE"`
	Go                 string `env:"SLIPWAY_GO"`
	Generate           List   `env:"SLIPWAY_GENERATE"`
	Prebuild           Lines  `env:"SLIPWAY_PREBUILD"`
	RunPrebuild        bool   `env:"SLIPWAY_RUN_PREBUILD"`
	PrebuildImage      string `env:"SLIPWAY_PREBUILD_IMAGE"`
	PrebuildOutputs    List   `env:"SLIPWAY_PREBUILD_OUTPUTS"`
	PrebuildCaches     List   `env:"SLIPWAY_PREBUILD_CACHES"`
	BuilderPackages    List   `env:"SLIPWAY_BUILDER_PACKAGES"`
	RuntimePackages    List   `env:"SLIPWAY_RUNTIME_PACKAGES"`
	BuildTags          List   `env:"SLIPWAY_BUILD_TAGS"`
	LDFlags            string `env:"SLIPWAY_LDFLAGS"`
	Stamps             Pairs  `env:"SLIPWAY_STAMPS"`
	BuildVCS           bool   `env:"SLIPWAY_BUILDVCS"`
	CGO                string `env:"SLIPWAY_CGO"`
	FIPS               string `env:"SLIPWAY_FIPS"`
	GoExperiments      List   `env:"SLIPWAY_GO_EXPERIMENTS"`
	TZData             bool   `env:"SLIPWAY_TZDATA"`
	Debug              bool   `env:"SLIPWAY_DEBUG"`
	CACerts            string `env:"SLIPWAY_CA_CERTS"`
	Ports              List   `env:"SLIPWAY_PORTS"`
	Env                Pairs  `env:"SLIPWAY_ENV"`
	Entrypoint         Lines  `env:"SLIPWAY_ENTRYPOINT"`
	NoEntrypoint       bool   `env:"SLIPWAY_NO_ENTRYPOINT"`
	Args               Lines  `env:"SLIPWAY_ARGS"`
	User               string `env:"SLIPWAY_USER"`
	UserName           string `env:"SLIPWAY_USER_NAME"`
	Workdir            string `env:"SLIPWAY_WORKDIR"`
	AllowRoot          bool   `env:"SLIPWAY_ALLOW_ROOT"`
	StopSignal         string `env:"SLIPWAY_STOP_SIGNAL"`
	Healthcheck        Lines  `env:"SLIPWAY_HEALTHCHECK"`
	HealthcheckOptions Pairs  `env:"SLIPWAY_HEALTHCHECK_OPTIONS"`
	Labels             Pairs  `env:"SLIPWAY_LABELS"`
	Annotations        Pairs  `env:"SLIPWAY_ANNOTATIONS"`
	Files              Lines  `env:"SLIPWAY_FILES"`
	Links              Pairs  `env:"SLIPWAY_LINKS"`
	Writable           List   `env:"SLIPWAY_WRITABLE"`
	Volumes            List   `env:"SLIPWAY_VOLUMES"`
	Capabilities       List   `env:"SLIPWAY_CAPABILITIES"`
	Compression        string `env:"SLIPWAY_COMPRESSION"`
	Revision           string `env:"SLIPWAY_REVISION"`
	SourceDateEpoch    string `env:"SOURCE_DATE_EPOCH"`
	VulnDB             string `env:"SLIPWAY_VULNDB"`

	Surroundings
}

// Surroundings are what a plan depends on besides the source, and what no user sets.
type Surroundings struct {
	// Facts are what templates may name.
	Facts Facts `json:"facts,omitzero"`
	// Outputs are what Slipway writes into the source.
	Outputs Outputs `json:"-"`
	// Engine is what the engine can do that is to carry the plan out.
	Engine Capabilities `json:"-"`
}

// Settings are all settings of an image, in the order of their documentation. The list is shared: nobody changes it.
var Settings = sync.OnceValue(func() []Setting {
	return Declare[Config](
		nameSetting, packagesSetting, platformsSetting,
		baseSetting, runtimeSetting, runtimePackagesSetting,
		goSetting, generateSetting, runPrebuildSetting, prebuildSetting, prebuildImageSetting, prebuildOutputsSetting, prebuildCachesSetting, builderPackagesSetting, tzdataSetting, cgoSetting, buildTagsSetting, ldflagsSetting, stampsSetting, buildVCSSetting, fipsSetting, goExperimentsSetting,
		debugSetting, caCertsSetting, portsSetting, envSetting, entrypointSetting, noEntrypointSetting, argsSetting, workdirSetting, allowRootSetting, userSetting, userNameSetting, stopSignalSetting, healthcheckSetting, healthcheckOptionsSetting,
		labelsSetting, annotationsSetting, filesSetting, linksSetting, writableSetting, volumesSetting, capabilitiesSetting, compressionSetting, revisionSetting, epochSetting,
		vulnDBSetting,
	)
})
