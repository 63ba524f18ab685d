/**
 * Examples of how another Dagger module calls Slipway. The Daggerverse shows each at the function that its name ends in.
 */
import { dag, Container, Directory, File, Platform, Secret, object, func } from "@dagger.io/dagger"

@object()
export class Examples {
  /**
   * Check a program, and publish it if it passes
   *
   * @param source Directory of a Go module.
   * @param token Token for ghcr.io.
   */
  @func({ cache: "never" })
  async slipway_checkAndPublish(source: Directory, token: Secret): Promise<string> {
    return dag
      .slipway({ source })
      .withLogin("me", token)
      .ci({ repository: "ghcr.io/me/api", tags: ["v1.2.3", "latest"] })
      .reference()
  }

  /**
   * See what a build would do
   *
   * @param source Directory of a Go module.
   */
  @func()
  async slipwayPlan(source: Directory): Promise<string> {
    return dag.slipway({ source }).plan()
  }

  /**
   * Build an image for the engine's own platform
   *
   * @param source Directory of a Go module.
   */
  @func()
  slipwayBuild(source: Directory): Container {
    return dag.slipway({ source }).build()
  }

  /**
   * Build an OCI archive of two programs for two platforms
   *
   * @param source Directory of a Go module that has ./cmd/server and ./cmd/migrate.
   */
  @func()
  slipwayImageArchive(source: Directory): File {
    return dag
      .slipway({
        source,
        packages: ["./cmd/server", "./cmd/migrate"],
        platforms: ["linux/amd64" as Platform, "linux/arm64" as Platform],
      })
      .imageArchive()
  }

  /**
   * Publish an image for two platforms
   *
   * @param source Directory of a Go module.
   * @param token Token for ghcr.io.
   */
  @func({ cache: "never" })
  async slipwayPublish(source: Directory, token: Secret): Promise<string> {
    return dag
      .slipway({ source })
      .withLogin("me", token)
      .publish({ repository: "ghcr.io/me/api", tags: ["v1.2.3"] })
      .reference()
  }
}
