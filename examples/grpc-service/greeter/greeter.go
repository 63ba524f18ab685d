// Package greeter is the code of greeter.proto. To make it anew takes protoc; its plugins are tools of go.mod.
package greeter

//go:generate sh -c "protoc --plugin=$DOLLAR(go tool -n protoc-gen-go) --plugin=$DOLLAR(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative greeter.proto"
