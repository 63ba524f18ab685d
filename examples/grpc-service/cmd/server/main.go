// Command server is a gRPC service as one runs it in production: with health checking, reflection, structured logs, and a
// shutdown that lets calls finish.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/slipway-ci/slipway/examples/grpc-service/greeter"
)

// shutdownLimit is how long calls may take to finish after SIGTERM. Kubernetes waits 30 seconds in all.
const shutdownLimit = 20 * time.Second

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Getenv("PORT")); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// run serves on port, 50051 if it is empty, until ctx is done.
func run(ctx context.Context, log *slog.Logger, port string) error {
	if port == "" {
		port = "50051"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("PORT is %q: set it to a number from 1 to 65535", port)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return err
	}
	log.Info("serving", "address", listener.Addr().String(), "grpc", grpc.Version)
	return serve(ctx, log, listener, service{})
}

// serve answers calls until ctx is done, and then lets those under way finish. Health checks are told first, so that nobody
// sends more.
func serve(ctx context.Context, log *slog.Logger, listener net.Listener, service greeter.GreeterServer) error {
	server := grpc.NewServer(grpc.ConnectionTimeout(10 * time.Second))
	greeter.RegisterGreeterServer(server, service)
	checks := health.NewServer() // "", the whole server, is well from the start
	checks.SetServingStatus(greeter.Greeter_ServiceDesc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checks)
	reflection.Register(server)

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	checks.Shutdown()
	overdue := time.AfterFunc(shutdownLimit, server.Stop)
	server.GracefulStop()
	if !overdue.Stop() {
		return errors.New("calls did not finish in time")
	}
	return <-failed
}

// service answers the calls.
type service struct {
	greeter.UnimplementedGreeterServer
}

func (service) Greet(_ context.Context, request *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	if request.GetName() == "" {
		return nil, status.Error(codes.InvalidArgument, "name is empty")
	}
	return &greeter.GreetResponse{Greeting: "Hello, " + request.GetName()}, nil
}
