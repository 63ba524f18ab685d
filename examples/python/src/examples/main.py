from typing import Annotated

import dagger
from dagger import Doc, dag, function, object_type

Source = Annotated[dagger.Directory, Doc("Directory of a Go module")]
Token = Annotated[dagger.Secret, Doc("Token for ghcr.io")]


@object_type
class Examples:
    """Examples has one function for each example"""

    @function(cache="never")
    async def slipway__check_and_publish(self, source: Source, token: Token) -> str:
        """Check a program, and publish it if it passes"""
        return await (
            dag.slipway(source=source)
            .with_login("me", token)
            .ci(repository="ghcr.io/me/api", tags=["v1.2.3", "latest"])
            .reference()
        )

    @function
    async def slipway_plan(self, source: Source) -> str:
        """See what a build would do"""
        return await dag.slipway(source=source).plan()

    @function
    def slipway_build(self, source: Source) -> dagger.Container:
        """Build an image for the engine's own platform"""
        return dag.slipway(source=source).build()

    @function
    def slipway_image_archive(self, source: Source) -> dagger.File:
        """Build an OCI archive of two programs for two platforms"""
        return dag.slipway(
            source=source,
            packages=["./cmd/server", "./cmd/migrate"],
            platforms=[dagger.Platform("linux/amd64"), dagger.Platform("linux/arm64")],
        ).image_archive()

    @function(cache="never")
    async def slipway_publish(self, source: Source, token: Token) -> str:
        """Publish an image for two platforms"""
        return await (
            dag.slipway(source=source)
            .with_login("me", token)
            .publish(repository="ghcr.io/me/api", tags=["v1.2.3"])
            .reference()
        )
