package main

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/slipway-ci/slipway/examples/grpc-service/greeter"
)

// start serves until the returned stop is called, which returns what serve did.
func start(t *testing.T, service greeter.GreeterServer) (conn *grpc.ClientConn, stop context.CancelFunc, stopped <-chan error) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, slog.New(slog.DiscardHandler), listener, service) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = conn.Close()
	})
	return conn, cancel, done
}

func TestGreet(t *testing.T) {
	conn, stop, stopped := start(t, service{})
	client := greeter.NewGreeterClient(conn)
	answer, err := client.Greet(t.Context(), &greeter.GreetRequest{Name: "Ada"})
	if err != nil || answer.GetGreeting() != "Hello, Ada" {
		t.Errorf("%v %v", answer, err)
	}
	if _, err := client.Greet(t.Context(), &greeter.GreetRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	conn, _, _ := start(t, service{})
	client := grpc_health_v1.NewHealthClient(conn)
	for _, name := range []string{"", "slipway.examples.greeter.v1.Greeter"} {
		answer, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v %v", name, answer, err)
		}
	}
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "nosuch"}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
}

func TestReflection(t *testing.T) {
	conn, _, _ := start(t, service{})
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{"slipway.examples.greeter.v1.Greeter", "grpc.health.v1.Health"} {
		if !slices.Contains(names, want) {
			t.Errorf("%v without %s", names, want)
		}
	}
}

// slow answers when it is told to.
type slow struct {
	greeter.UnimplementedGreeterServer
	arrived, goOn chan bool
}

func (s slow) Greet(context.Context, *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	close(s.arrived)
	<-s.goOn
	return &greeter.GreetResponse{Greeting: "at last"}, nil
}

// A call that is under way when the service is told to stop gets its answer, and who watches its health hears of it first.
func TestShutdownWaitsForCalls(t *testing.T) {
	service := slow{arrived: make(chan bool), goOn: make(chan bool)}
	conn, stop, stopped := start(t, service)
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := watch.Recv(); err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("%v %v", answer, err)
	}
	go func() {
		<-service.arrived
		stop()
		for {
			answer, err := watch.Recv()
			if err != nil {
				t.Errorf("the end of a watch came before its news: %v", err)
				break
			}
			if answer.GetStatus() == grpc_health_v1.HealthCheckResponse_NOT_SERVING {
				break
			}
		}
		if err := watch.CloseSend(); err != nil {
			t.Error(err)
		}
		close(service.goOn)
	}()
	answer, err := greeter.NewGreeterClient(conn).Greet(t.Context(), &greeter.GreetRequest{Name: "Ada"})
	if err != nil || answer.GetGreeting() != "at last" {
		t.Errorf("%v %v", answer, err)
	}
	_ = conn.Close() // a watch has no end
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestRunRefusesABadPort(t *testing.T) {
	for _, port := range []string{"grpc", "0", "65536", "-1"} {
		err := run(t.Context(), slog.New(slog.DiscardHandler), port)
		if err == nil || !strings.Contains(err.Error(), "PORT") {
			t.Errorf("PORT=%s: %v", port, err)
		}
	}
}
