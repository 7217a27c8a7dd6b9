defmodule Examples.MixProject do
  use Mix.Project

  def project do
    [app: :examples, version: "1.0.0", elixir: "~> 1.14", elixirc_paths: [], deps: [{:amqp, "~> 4.0"}]]
  end
end
