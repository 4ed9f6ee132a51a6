"""Shared by the files of rules: the image a job runs in, what it asks a cluster for, and checks before the first job."""

import shutil

from snakemake.settings.types import DeploymentMethod

from scripts.containers import images, preflight
from scripts.containers import launch as launching
from scripts.train.settings.base import TrainedModel
from scripts.workflow import plan

IMAGES = sorted(set(CONFIG.environments.values()))
SITE = workflow.resource_settings.default_resources or {}
OF_GPU_JOBS = {"gpu_partition": "slurm_partition", "gpu_constraint": "constraint"}
"""What a site's profile says of its jobs with GPUs, and what the executor calls it."""

# Containers shut the host's environment out; these alone are handed in.
HANDED_IN = "CUDA_VISIBLE_DEVICES HF_HOME HF_ENDPOINT HF_TOKEN LOCAL_KERNELS http_proxy https_proxy no_proxy"
for name in HANDED_IN.split():
    if name in os.environ:
        os.environ[f"APPTAINERENV_{name}"] = os.environ[name]

# Only the rules that fetch may ask the hub, and they only where the user does not forbid it.
OFFLINE = launching.Untracked(os.environ.get("HF_HUB_OFFLINE", "0"))


@cache
def drawn_without_apptainer():
    """Whether this is a plan on a machine without Apptainer, for which Snakemake looks as soon as a job has a container."""
    return workflow.dryrun and not shutil.which("apptainer")


def budget_of(rule):
    """What a rule's jobs may use."""
    return CONFIG.budget_of(ARTIFACTS.kinds[rule].step)


def image(rule):
    """The image that a rule's jobs run in.

    None if jobs run outside images, and for a job on several nodes, which enters the image on each of them.
    """
    if not CONFIG.containers or budget_of(rule).nodes > 1:
        return None
    path = str(images.image_file(CONFIG.environments[ARTIFACTS.kinds[rule].role]))
    return lambda wildcards: None if drawn_without_apptainer() else path


def launch(rule):
    """The words before the module's name of a training: python, or a launcher of several processes."""
    trained_in = images.image_file(CONFIG.environments["train"]) if CONFIG.containers else None
    return launching.launch(budget_of(rule), trained_in, workflow.deployment_settings.apptainer_args)


def tracking(wildcards):
    """Params function: what stands before a training's launch, so that it reports where trackers are configured."""
    if not CONFIG.trackers:
        return launching.Untracked("")
    return launching.Untracked(
        f"NEBULA_TRACKERS={','.join(CONFIG.trackers)} NEBULA_TRACKING={PATHS.at('logs', 'tracking', wildcards.model)} "
    )


def cpus(rule):
    """CPUs of a rule's jobs on each of their nodes."""
    return budget_of(rule).cpus


def resources(rule):
    """What a rule's jobs request from SLURM, as keywords of `resources`; None requests nothing.

    Snakemake's own default of `disk` would look up the size of every input of every job. What the profile says about
    GPUs is meant for this function and is not a resource.
    """
    budget = budget_of(rule)
    asked = {"disk": None, **dict.fromkeys(OF_GPU_JOBS)}
    if not budget.gpus:
        return asked | {
            "gpu_model": None,  # of which the executor would ask one
            "mem_mb": lambda wildcards, attempt: budget.of_attempt(attempt).memory_gb * 1000,
            "runtime": lambda wildcards, attempt: minutes(budget, attempt),
        }
    asked |= {"mem_mb": budget.memory_gb * 1000, "runtime": budget.minutes}
    asked |= {"gpu": budget.gpus * budget.nodes, "nodes": budget.nodes}
    if budget.nodes > 1:  # the rule's own srun starts the tasks, one on each node
        asked |= {"mpi": "srun", "tasks": budget.nodes, "tasks_per_gpu": 0}
    asked |= {name: SITE[setting].raw for setting, name in OF_GPU_JOBS.items() if setting in SITE}
    return asked


def unsubmitted():
    """The `resources` of rules whose jobs run where Snakemake does: nothing of what each job asks for by default."""
    return {name.removesuffix("_mb"): None for name in SITE if name != "tmpdir"}


def minutes(budget, attempt):
    """Walltime of an attempt: what a retry grows to is no more than its partition allows."""
    grown = budget.of_attempt(attempt).minutes
    if grown == budget.minutes or workflow.executor_plugin.name != "slurm" or "slurm_partition" not in SITE:
        return grown
    return min(grown, preflight.partitions()[SITE["slurm_partition"].raw].minutes)


def image_recipe(wildcards):
    """Params function: what an image is made from, and by which code."""
    return canonical_json(
        {
            "settings": {"environment": wildcards.environment, "base": CONFIG.image_base},
            "seed": CONFIG.seed,
            "code": fingerprint("scripts.containers.build"),
            "environment": images.identity(wildcards.environment, contained=True),
        }
    )


def sbatch_options(job):
    """The options of `sbatch` that a job is submitted with; None if it leaves the partition to SLURM."""
    resource = job.resources.get
    if not resource("slurm_partition"):
        return None
    options = {
        "partition": resource("slurm_partition"),
        "account": resource("slurm_account"),
        "qos": resource("qos"),
        "constraint": resource("constraint"),
        "time": resource("runtime"),
        "mem": resource("mem_mb"),
        "gpus": ":".join(str(part) for part in (resource("gpu_model"), resource("gpu")) if part),
        "nodes": resource("nodes"),
        "cpus-per-task": job.threads,
    }
    return preflight.JobRequest(job.rule.name, tuple((name, str(value)) for name, value in options.items() if value))


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    slurm = workflow.executor_plugin.name == "slurm"
    needed = {Path(job.container_img_url).stem for job in jobs if job.container_img_url}
    if CONFIG.containers and any(job.resources.get("mpi") for job in jobs):
        needed.add(CONFIG.environments["train"])
    problems = preflight.image_problems(
        needed,
        apptainer=DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method,
    )
    if CONFIG.containers:
        planned = {output for job in jobs for output in job.output}
        models = CONFIG.models.items()
        trained = [name for name, m in models if isinstance(m, TrainedModel) and PATHS.model(name) in planned]
        problems += preflight.kernel_problems(CONFIG.training_of(name).attention for name in trained)
    problems += preflight.disk_problems(Path(CONFIG.results), CONFIG.disk_gb)
    read = {job.wildcards.source for job in jobs if job.rule.name == "normalize_source"}
    problems += plan.missing_sources(CONFIG, read, Path(CONFIG.corpora_dir or "."))
    submitted = [job for job in jobs if not job.is_local]
    if slurm and submitted:
        requests = [request for job in submitted if (request := sbatch_options(job))]
        problems += preflight.slurm_problems(
            requests, workflow.executor_settings.status_command, Path(CONFIG.results)
        )
    if problems:
        raise WorkflowError(*problems)
