// Jenkins: a Jenkinsfile. Replace VERSION with a release of Slipway, and the repository with yours.
// DOCKER_AUTH_CONFIG is the credential "registry-login", a secret text in the format of ~/.docker/config.json.
pipeline {
    agent { docker { image 'golang:1.26.11' } }
    stages {
        stage('publish') {
            when { branch 'main' }
            environment {
                HOME = "${env.WORKSPACE_TMP}"
                DOCKER_AUTH_CONFIG = credentials('registry-login')
                SLIPWAY_REPOSITORY = 'ghcr.io/me/api'
                SLIPWAY_TAGS = "${env.GIT_COMMIT}"
                SLIPWAY_REVISION = "${env.GIT_COMMIT}"
                SLIPWAY_RUNTIME = 'distroless'
                SLIPWAY_PROGRESS = 'plain'
            }
            steps { sh 'go run github.com/slipway-ci/slipway/cmd/slipway@VERSION publish' }
        }
    }
}
